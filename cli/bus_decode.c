/*
 * `coffer bus decode --subject S`: one message body on stdin, JSON on stdout. The NATS CLI hands
 * a translator only the body, so the subject says which message it is:
 *     nats sub 'evt.>' --translate "coffer bus decode --subject {{Subject}}"
 */
#include <getopt.h>
#include <stdio.h>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/protobuf_json.h"
#include "shared/base/buffer.h"
#include "shared/bus/bus.h"
#include "shared/bus/subject.h"

static struct error *read_stdin(struct buffer *ret_body)
{
    uint8_t block[16384];
    size_t n;

    while ((n = fread(block, 1, sizeof(block), stdin)) > 0) {
        if (ret_body->size + n > BUS_PAYLOAD_MAX)
            return error_new(ERROR_INVALID_ARGUMENT, "message is larger than %d bytes",
                             BUS_PAYLOAD_MAX);
        buffer_add(ret_body, block, n);
    }
    return ferror(stdin) ? error_errno(errno, "read stdin") : NULL;
}

static struct error *decode(const char *subject)
{
    const struct subject_row *row = subject_find(subject);
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    _cleanup_buffer_ struct buffer body = {0};
    void *message = NULL;

    if (!row)
        return error_new(ERROR_NOT_FOUND, "no message type is known for subject '%s'", subject);
    struct error *err = read_stdin(&body);
    if (!err)
        err = bus_unpack(row->message, body.data, body.size, arena, &message);
    if (err)
        return error_wrap(err, "decode '%s' as %s", subject, row->message->name);
    _cleanup_(json_decrefp) json_t *json = protobuf_to_json(message);
    output_json(json);
    return NULL;
}

int bus_decode_main(int argc, char **argv)
{
    static const struct option options[] = {{"subject", required_argument, NULL, 's'},
                                            {NULL, 0, NULL, 0}};
    const char *subject = NULL;

    optind = 1;
    for (int c; (c = getopt_long(argc, argv, "s:", options, NULL)) != -1;) {
        if (c != 's')
            return EXIT_USAGE;
        subject = optarg;
    }
    if (!subject || optind != argc)
        return command_usage("bus decode needs --subject and nothing else");
    return command_fail_here(decode(subject));
}
