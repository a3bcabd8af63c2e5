#include "cli/report_fields.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "shared/attestation/report.h"
#include "shared/attestation/report_bits.h"
#include "shared/base/encode.h"

#define PARTS_MAX 80

enum kind {
    KIND_NUMBER, /* little endian, 1 to 8 bytes */
    KIND_BITS,   /* the same, shown as hex */
    KIND_BYTES,
    KIND_RESERVED,
    KIND_TCB,
    KIND_FIRMWARE,
};

struct shown {
    struct arena *arena;
    const struct report *report;
    enum snp_product product;
    struct report_part parts[PARTS_MAX]; /* of the field in hand */
    size_t n_parts;
};

struct row {
    uint16_t offset;
    uint16_t size;
    const char *name;
    enum kind kind;
    uint8_t since; /* version of the report; before it the bytes are reserved */
    const char *meaning;
    const char *(*explain)(struct shown *, uint64_t number, const uint8_t *bytes); /* or NULL */
};

static void add_part(struct shown *shown, const char *where, const char *name, const char *value,
                     const char *meaning)
{
    assert(shown->n_parts < PARTS_MAX);
    shown->parts[shown->n_parts++] = (struct report_part){where, name, value, meaning};
}

static const char *number_text(struct shown *shown, uint64_t number)
{
    return arena_printf(shown->arena, "%" PRIu64, number);
}

static const char *upper(struct shown *shown, const char *text)
{
    char *copy = arena_strdup(shown->arena, text);

    for (char *c = copy; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    return copy;
}

/* Says of a clear bit what it would mean. */
static void add_bit(struct shown *shown, unsigned int number, const char *name, const char *meaning,
                    uint64_t value)
{
    bool set = value >> number & 1;

    add_part(shown, arena_printf(shown->arena, "%u", number), upper(shown, name), set ? "1" : "0",
             set ? meaning : arena_printf(shown->arena, "1 would say: %s", meaning));
}

static const struct report_bit *find_bit(const struct report_bit *bits, size_t n_bits,
                                         unsigned int number)
{
    for (size_t i = 0; i < n_bits; i++)
        if (bits[i].number == number)
            return &bits[i];
    return NULL;
}

/* Every bit that has a name, and every other one that is set, in their order. */
static void add_bits(struct shown *shown, const struct report_bit *bits, size_t n_bits,
                     uint64_t value, uint64_t unknown)
{
    for (unsigned int number = 0; number < 64; number++) {
        const struct report_bit *bit = find_bit(bits, n_bits, number);

        if (bit)
            add_bit(shown, number, bit->name, bit->meaning, value);
        else if (unknown >> number & 1)
            add_part(shown, arena_printf(shown->arena, "%u", number), "(reserved)", "1",
                     "what this bit means is not known to this program");
    }
}

static const char *explain_version(struct shown *shown, uint64_t number, const uint8_t *bytes)
{
    (void)shown, (void)bytes;
    if (number == 2)
        return "old: names no processor, so its product comes from the certificate";
    return report_version_is_known((uint32_t)number)
               ? "known to this program"
               : "not known to this program: read as version 5, reserved bytes may have a meaning";
}

static const char *explain_policy(struct shown *shown, uint64_t number, const uint8_t *bytes)
{
    (void)bytes;
    size_t n;
    const struct report_bit *bits = report_policy_bits(&n);

    add_part(shown, "7:0", "ABI_MINOR", number_text(shown, number & 0xff),
             "firmware interface at least, minor");
    add_part(shown, "15:8", "ABI_MAJOR", number_text(shown, number >> 8 & 0xff),
             "firmware interface at least, major");
    add_part(shown, "17", "(reserved)", number >> 17 & 1 ? "1" : "0", "always 1");
    add_bits(shown, bits, n, number, report_policy_unknown(number));
    return "what the guest's owner allows and demands; fixed at launch";
}

static const char *explain_platform(struct shown *shown, uint64_t number, const uint8_t *bytes)
{
    (void)bytes;
    size_t n;
    const struct report_bit *bits = report_platform_bits(&n);

    add_bits(shown, bits, n, number, report_platform_unknown(number));
    return "how the host was set up when the report was made";
}

static const char *explain_key_info(struct shown *shown, uint64_t number, const uint8_t *bytes)
{
    (void)bytes;
    static const char *const keys[] = {[0] = "VCEK: the key of one chip",
                                       [1] = "VLEK: the key of a cloud, which names no chip",
                                       [7] = "none: the report is not signed"};
    unsigned int key = number >> 2 & 7;

    add_bit(shown, 0, "AUTHOR_KEY_EN", "the ID block's key is vouched for by an author key",
            number);
    add_bit(shown, 1, "MASK_CHIP_KEY", "the chip's identity is hidden", number);
    add_part(shown, "4:2", "SIGNING_KEY", number_text(shown, key),
             key < ELEMENTSOF(keys) && keys[key] ? keys[key] : "reserved");
    add_bits(shown, NULL, 0, number, number & ~UINT64_C(0x1f));
    return "which key signed";
}

static const char *explain_vmpl(struct shown *shown, uint64_t number, const uint8_t *bytes)
{
    (void)shown, (void)bytes;
    if (number == UINT32_MAX)
        return "asked for by the host, not by the guest";
    return number == 0 ? "privilege level of who asked: the most privileged"
                       : "privilege level of who asked: not the most privileged";
}

static const char *explain_algorithm(struct shown *shown, uint64_t number, const uint8_t *bytes)
{
    (void)shown, (void)bytes;
    return number == 1 ? "ECDSA P-384 with SHA-384" : "not known";
}

static const char *explain_tcb(struct shown *shown, uint64_t number, const uint8_t *bytes)
{
    (void)bytes;
    struct snp_tcb tcb = snp_tcb_decode(shown->product, number);

    if (shown->product == SNP_PRODUCT_UNKNOWN)
        return "its layout depends on the product, which this report does not say (--product)";
    if (shown->product == SNP_PRODUCT_TURIN)
        add_part(shown, "", "FMC", number_text(shown, tcb.fmc), "");
    add_part(shown, "", "BOOT_LOADER", number_text(shown, tcb.bootloader), "");
    add_part(shown, "", "TEE", number_text(shown, tcb.tee), "");
    add_part(shown, "", "SNP", number_text(shown, tcb.snp), "");
    add_part(shown, "", "MICROCODE", number_text(shown, tcb.microcode), "");
    return NULL;
}

static bool all_are(const uint8_t *bytes, size_t size, uint8_t value)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != value)
            return false;
    return true;
}

static const char *explain_measurement(struct shown *shown, uint64_t number, const uint8_t *bytes)
{
    (void)shown, (void)number;
    return all_are(bytes, 48, 0) ? "none" : NULL;
}

static const char *explain_id_key(struct shown *shown, uint64_t number, const uint8_t *bytes)
{
    (void)shown, (void)number;
    return all_are(bytes, 48, 0) ? "no ID block: GUEST_SVN, FAMILY_ID and IMAGE_ID say nothing"
                                 : NULL;
}

static const char *explain_author_key(struct shown *shown, uint64_t number, const uint8_t *bytes)
{
    (void)shown, (void)number;
    return all_are(bytes, 48, 0) ? "no author key" : NULL;
}

static const char *explain_agent(struct shown *shown, uint64_t number, const uint8_t *bytes)
{
    (void)shown, (void)number;
    return all_are(bytes, 32, 0xff) ? "no migration agent" : "a migration agent is there";
}

static const char *explain_chip(struct shown *shown, uint64_t number, const uint8_t *bytes)
{
    (void)number;
    if (all_are(bytes, 64, 0))
        return "hidden: the report names no chip";
    return shown->product == SNP_PRODUCT_TURIN ? "8 bytes, then zeros" : NULL;
}

static const char *explain_family(struct shown *shown, uint64_t number, const uint8_t *bytes)
{
    (void)number, (void)bytes;
    enum snp_product product = report_product(shown->report);

    return arena_printf(shown->arena, "with the next: product %s", snp_product_name(product));
}

static const struct row rows[] = {
    {0x000, 4, "VERSION", KIND_NUMBER, 0, "format of the report", explain_version},
    {0x004, 4, "GUEST_SVN", KIND_NUMBER, 0, "security version, from the ID block", NULL},
    {0x008, 8, "POLICY", KIND_BITS, 0, "", explain_policy},
    {0x010, 16, "FAMILY_ID", KIND_BYTES, 0, "from the ID block", NULL},
    {0x020, 16, "IMAGE_ID", KIND_BYTES, 0, "from the ID block", NULL},
    {0x030, 4, "VMPL", KIND_NUMBER, 0, "", explain_vmpl},
    {0x034, 4, "SIGNATURE_ALGO", KIND_NUMBER, 0, "", explain_algorithm},
    {0x038, 8, "CURRENT_TCB", KIND_TCB, 0, "firmware levels that run now", explain_tcb},
    {0x040, 8, "PLATFORM_INFO", KIND_BITS, 0, "", explain_platform},
    {0x048, 4, "KEY_INFO", KIND_BITS, 0, "", explain_key_info},
    {0x04c, 4, "(reserved)", KIND_RESERVED, 0, "", NULL},
    {0x050, 64, "REPORT_DATA", KIND_BYTES, 0, "what the guest asked to have signed", NULL},
    {0x090, 48, "MEASUREMENT", KIND_BYTES, 0, "launch digest: what was started",
     explain_measurement},
    {0x0c0, 32, "HOST_DATA", KIND_BYTES, 0,
     "given by the host at launch; ours: SHA-256 of the manifest", NULL},
    {0x0e0, 48, "ID_KEY_DIGEST", KIND_BYTES, 0, "SHA-384 of the key that signed the ID block",
     explain_id_key},
    {0x110, 48, "AUTHOR_KEY_DIGEST", KIND_BYTES, 0, "SHA-384 of the key that vouches for it",
     explain_author_key},
    {0x140, 32, "REPORT_ID", KIND_BYTES, 0, "this guest, until it ends", NULL},
    {0x160, 32, "REPORT_ID_MA", KIND_BYTES, 0, "", explain_agent},
    {0x180, 8, "REPORTED_TCB", KIND_TCB, 0, "firmware levels that the signing key is derived for",
     explain_tcb},
    {0x188, 1, "CPUID_FAM_ID", KIND_BITS, 3, "family", explain_family},
    {0x189, 1, "CPUID_MOD_ID", KIND_BITS, 3, "model", NULL},
    {0x18a, 1, "CPUID_STEP", KIND_BITS, 3, "stepping", NULL},
    {0x18b, 21, "(reserved)", KIND_RESERVED, 0, "", NULL},
    {0x1a0, 64, "CHIP_ID", KIND_BYTES, 0, "the chip", explain_chip},
    {0x1e0, 8, "COMMITTED_TCB", KIND_TCB, 0, "firmware levels that cannot be rolled back",
     explain_tcb},
    {0x1e8, 3, "CURRENT_VERSION", KIND_FIRMWARE, 0, "firmware that runs now", NULL},
    {0x1eb, 1, "(reserved)", KIND_RESERVED, 0, "", NULL},
    {0x1ec, 3, "COMMITTED_VERSION", KIND_FIRMWARE, 0, "firmware that cannot be rolled back", NULL},
    {0x1ef, 1, "(reserved)", KIND_RESERVED, 0, "", NULL},
    {0x1f0, 8, "LAUNCH_TCB", KIND_TCB, 0, "firmware levels when the guest was started",
     explain_tcb},
    {0x1f8, 8, "LAUNCH_MIT_VECTOR", KIND_BITS, 5, "mitigations when the guest was started", NULL},
    {0x200, 8, "CURRENT_MIT_VECTOR", KIND_BITS, 5, "mitigations now", NULL},
    {0x208, 152, "(reserved)", KIND_RESERVED, 0, "", NULL},
    {0x2a0, 72, "SIGNATURE.R", KIND_BYTES, 0, "little endian; signed are bytes 0x000 to 0x29f",
     NULL},
    {0x2e8, 72, "SIGNATURE.S", KIND_BYTES, 0, "little endian", NULL},
    {0x330, 368, "(reserved)", KIND_RESERVED, 0, "signed by nothing", NULL},
};

static uint64_t read_number(const uint8_t *bytes, size_t size)
{
    uint64_t number = 0;

    for (size_t i = size; size <= 8 && i-- > 0;)
        number = number << 8 | bytes[i];
    return number;
}

static const char *value_text(struct shown *shown, enum kind kind, const uint8_t *bytes,
                              size_t size)
{
    uint64_t number = read_number(bytes, size);

    switch (kind) {
    case KIND_NUMBER:
        return number_text(shown, number);
    case KIND_BITS:
    case KIND_TCB:
        return arena_printf(shown->arena, "0x%0*" PRIx64, kind == KIND_TCB ? 16 : 1, number);
    case KIND_FIRMWARE: /* build, minor, major */
        return arena_printf(shown->arena, "%u.%u.%u", bytes[2], bytes[1], bytes[0]);
    case KIND_RESERVED:
        if (all_are(bytes, size, 0))
            return "0";
        break;
    case KIND_BYTES:
        break;
    }
    _cleanup_free_ char *hex = hex_encode_new(bytes, size);
    return arena_strdup(shown->arena, hex);
}

static const char *joined(struct shown *shown, const char *meaning, const char *explained)
{
    if (!explained || !explained[0])
        return meaning;
    return meaning[0] ? arena_printf(shown->arena, "%s; %s", meaning, explained) : explained;
}

static struct report_field read_field(struct shown *shown, const struct row *row,
                                      const uint8_t *report)
{
    const uint8_t *bytes = report + row->offset;
    bool there = shown->report->version >= row->since;
    enum kind kind = there ? row->kind : KIND_RESERVED;
    const char *explained = NULL;

    shown->n_parts = 0;
    if (there && row->explain)
        explained = row->explain(shown, read_number(bytes, row->size), bytes);
    return (struct report_field){
        .offset = row->offset,
        .size = row->size,
        .name = there ? row->name : "(reserved)",
        .value = value_text(shown, kind, bytes, row->size),
        .meaning = there ? joined(shown, row->meaning, explained)
                         : arena_printf(shown->arena, "%s since version %u", row->name, row->since),
        .parts = arena_memdup(shown->arena, shown->parts, shown->n_parts * sizeof(*shown->parts)),
        .n_parts = shown->n_parts,
    };
}

struct error *report_fields_read(const void *report, size_t size, enum snp_product product,
                                 struct arena *arena, struct report_fields *ret_fields)
{
    struct report parsed;
    struct shown shown = {.arena = arena, .report = &parsed, .product = product};

    static_assert(ELEMENTSOF(rows) <= REPORT_FIELDS_MAX, "room for every row");
    struct error *err = report_parse(report, size, &parsed);
    if (err)
        return err;
    if (product == SNP_PRODUCT_UNKNOWN)
        shown.product = report_product(&parsed);
    *ret_fields = (struct report_fields){.product = shown.product,
                                         .problem = report_format_problem(&parsed, false)};
    for (size_t i = 0; i < ELEMENTSOF(rows); i++)
        ret_fields->fields[ret_fields->n++] = read_field(&shown, &rows[i], report);
    return NULL;
}
