#include "shared/attestation/report_bits.h"

#include "shared/base/buffer.h"
#include "shared/base/cleanup.h"

#define ABI_AND_BIT_17 UINT64_C(0x2ffff)

/* SEV-SNP firmware ABI, GUEST_POLICY. */
static const struct report_bit policy_bits[] = {
    {16, "smt", "may run where two threads share a core"},
    {18, "migrate_ma", "may be handed to a migration agent"},
    {19, "debug", "the host may read and write its memory"},
    {20, "single_socket", "runs on one socket only"},
    {21, "cxl_allow", "may use memory on a CXL bus"},
    {22, "mem_aes_256_xts", "memory is encrypted with AES-256-XTS only"},
    {23, "rapl_dis", "runs only where power cannot be measured"},
    {24, "ciphertext_hiding_dram", "runs only where the host cannot read encrypted memory"},
    {25, "page_swap_disable", "pages may not be swapped out by the host"},
};

/* SEV-SNP firmware ABI, PLATFORM_INFO. Bit 6 is set on Turin and documented as reserved. */
static const struct report_bit platform_bits[] = {
    {0, "smt_en", "two threads share a core"},
    {1, "tsme_en", "all memory is encrypted"},
    {2, "ecc_en", "memory corrects errors"},
    {3, "rapl_dis", "power cannot be measured"},
    {4, "ciphertext_hiding_dram_en", "the host cannot read encrypted memory"},
    {5, "alias_check_complete", "no two addresses of memory are the same cells"},
    {7, "tio_en", "devices can be trusted with encrypted memory"},
};

const struct report_bit *report_policy_bits(size_t *ret_n)
{
    *ret_n = ELEMENTSOF(policy_bits);
    return policy_bits;
}

const struct report_bit *report_platform_bits(size_t *ret_n)
{
    *ret_n = ELEMENTSOF(platform_bits);
    return platform_bits;
}

static uint64_t without_named(const struct report_bit *bits, size_t n_bits, uint64_t value)
{
    for (size_t i = 0; i < n_bits; i++)
        value &= ~(UINT64_C(1) << bits[i].number);
    return value;
}

uint64_t report_policy_unknown(uint64_t policy)
{
    return without_named(policy_bits, ELEMENTSOF(policy_bits), policy & ~ABI_AND_BIT_17);
}

uint64_t report_platform_unknown(uint64_t info)
{
    return without_named(platform_bits, ELEMENTSOF(platform_bits), info);
}

static const char *name_of(const struct report_bit *bits, size_t n_bits, unsigned int number)
{
    for (size_t i = 0; i < n_bits; i++)
        if (bits[i].number == number)
            return bits[i].name;
    return NULL;
}

const char *report_bits_text(const struct report_bit *bits, size_t n_bits, uint64_t value,
                             struct arena *arena)
{
    _cleanup_buffer_ struct buffer text = {};

    for (unsigned int number = 0; number < 64; number++) {
        const char *name = name_of(bits, n_bits, number);

        if (!(value >> number & 1))
            continue;
        if (text.size > 0)
            buffer_add_text(&text, ", ");
        if (name)
            buffer_add_text(&text, name);
        else
            buffer_printf(&text, "bit %u", number);
    }
    return text.size > 0 ? arena_strdup(arena, buffer_text(&text)) : "none";
}
