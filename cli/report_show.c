/* `coffer report show`: what a report says, byte by byte, without a word on whether it is true. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/evidence_file.h"
#include "cli/report_fields.h"
#include "shared/attestation/tee.h"
#include "shared/attestation/verifier.h"
#include "shared/base/encode.h"

struct show_options {
    const char *path;
    enum snp_product product;
    bool json;
};

static int parse(int argc, char **argv, struct show_options *ret_options)
{
    static const struct option options[] = {{"product", required_argument, NULL, 'p'},
                                            {"json", no_argument, NULL, 'j'},
                                            {NULL, 0, NULL, 0}};

    optind = 1;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'j')
            ret_options->json = true;
        else if (c == 'p')
            ret_options->product = snp_product_from_name(optarg);
        else
            return EXIT_USAGE;
        if (c == 'p' && ret_options->product == SNP_PRODUCT_UNKNOWN)
            return command_usage("--product is Milan, Genoa or Turin");
    }
    if (optind + 1 != argc)
        return command_usage("report show takes one file");
    ret_options->path = argv[optind];
    return EXIT_OK;
}

static struct error *report_of_answer(const struct buffer *answer,
                                      uint8_t ret_report[TEE_REPORT_SIZE])
{
    json_auto_t *root = json_loadb(buffer_text(answer), answer->size, JSON_REJECT_DUPLICATES, NULL);
    const char *hex = json_string_value(json_object_get(root, "raw_report"));

    if (!hex)
        return error_new(ERROR_INVALID_ARGUMENT, "the answer has no 'raw_report'");
    return error_wrap(hex_decode(hex, ret_report, TEE_REPORT_SIZE), "'raw_report'");
}

static struct error *load(const char *path, uint8_t ret_report[TEE_REPORT_SIZE])
{
    _cleanup_buffer_ struct buffer bytes = {};
    bool is_answer = false;

    struct error *err = evidence_file_read(path, &bytes, &is_answer);
    if (err)
        return err;
    if (is_answer)
        return report_of_answer(&bytes, ret_report);
    memcpy(ret_report, bytes.data, TEE_REPORT_SIZE);
    return NULL;
}

static json_t *field_to_json(const struct report_field *field)
{
    json_t *object = json_pack("{s:i, s:i, s:s, s:s, s:s}", "offset", (int)field->offset, "size",
                               (int)field->size, "name", field->name, "value", field->value,
                               "meaning", field->meaning);

    for (size_t i = 0; i < field->n_parts; i++) {
        const struct report_part *part = &field->parts[i];
        if (i == 0)
            json_object_set_new(object, "parts", json_array());
        json_array_append_new(json_object_get(object, "parts"),
                              json_pack("{s:s, s:s, s:s, s:s}", "bits", part->where, "name",
                                        part->name, "value", part->value, "meaning",
                                        part->meaning));
    }
    return object;
}

static void print_json(const struct report_fields *fields)
{
    json_t *list = json_array();
    json_auto_t *root =
        json_pack("{s:s, s:b, s:s*, s:o}", "product", snp_product_name(fields->product), "verified",
                  0, "problem", fields->problem, "fields", list);

    for (size_t i = 0; i < fields->n; i++)
        json_array_append_new(list, field_to_json(&fields->fields[i]));
    json_dumpf(root, stdout, JSON_INDENT(2));
    putchar('\n');
}

static void print_field(const struct report_field *field)
{
    printf("%03x %3u  %-18s %s\n", field->offset, field->size, field->name, field->value);
    if (field->meaning[0])
        printf("%28s%s\n", "", field->meaning);
    for (size_t i = 0; i < field->n_parts; i++) {
        const struct report_part *part = &field->parts[i];
        printf("%10s%5s %-26s ", "", part->where, part->name);
        if (part->meaning[0])
            printf("%-4s %s\n", part->value, part->meaning);
        else
            puts(part->value);
    }
}

static void print_text(const struct report_fields *fields)
{
    for (size_t i = 0; i < fields->n; i++)
        print_field(&fields->fields[i]);
    printf("\nproduct  %s\n", snp_product_name(fields->product));
    printf("format   %s\n", fields->problem ? verify_code_find(fields->problem)->meaning
                                            : "as the specification says");
    puts("Decoded, not verified: whether a processor said this is for `coffer verify` to find.");
}

static struct error *show(const struct show_options *options)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    uint8_t report[TEE_REPORT_SIZE];
    struct report_fields fields;

    struct error *err = load(options->path, report);
    if (!err)
        err = report_fields_read(report, sizeof(report), options->product, arena, &fields);
    if (err)
        return err;
    if (options->json)
        print_json(&fields);
    else
        print_text(&fields);
    return NULL;
}

int report_show_main(int argc, char **argv)
{
    struct show_options options = {};
    int code = parse(argc, argv, &options);

    return code == EXIT_OK ? command_fail_here(show(&options)) : code;
}
