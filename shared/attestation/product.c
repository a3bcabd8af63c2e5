#include "shared/attestation/product.h"

#include <stdio.h>
#include <string.h>

#include "shared/base/cleanup.h"

static const struct {
    enum snp_product product;
    uint8_t family;
    uint8_t first_model;
    uint8_t last_model;
} models[] = {
    {SNP_PRODUCT_MILAN, 0x19, 0x00, 0x0f},
    {SNP_PRODUCT_GENOA, 0x19, 0x10, 0x1f},
    {SNP_PRODUCT_GENOA, 0x19, 0xa0, 0xaf},
    {SNP_PRODUCT_TURIN, 0x1a, 0x00, 0x1f},
};

/* Which byte of TCB_VERSION holds a component; -1: this product has none. */
static const struct {
    const char *name;
    int fmc, bootloader, tee, snp, microcode;
} products[] = {
    [SNP_PRODUCT_UNKNOWN] = {"unknown", -1, 0, 1, 6, 7},
    [SNP_PRODUCT_MILAN] = {"Milan", -1, 0, 1, 6, 7},
    [SNP_PRODUCT_GENOA] = {"Genoa", -1, 0, 1, 6, 7},
    [SNP_PRODUCT_TURIN] = {"Turin", 0, 1, 2, 3, 7},
};

const char *snp_product_name(enum snp_product product)
{
    return products[product].name;
}

enum snp_product snp_product_from_cpuid(uint8_t family, uint8_t model)
{
    for (size_t i = 0; i < ELEMENTSOF(models); i++)
        if (models[i].family == family && models[i].first_model <= model &&
            model <= models[i].last_model)
            return models[i].product;
    return SNP_PRODUCT_UNKNOWN;
}

enum snp_product snp_product_from_name(const char *name)
{
    size_t size = strcspn(name, "-");

    for (size_t i = SNP_PRODUCT_MILAN; i < ELEMENTSOF(products); i++)
        if (strlen(products[i].name) == size && memcmp(products[i].name, name, size) == 0)
            return (enum snp_product)i;
    return SNP_PRODUCT_UNKNOWN;
}

static uint8_t component(uint64_t raw, int byte)
{
    return byte < 0 ? 0 : (uint8_t)(raw >> (8 * byte));
}

struct snp_tcb snp_tcb_decode(enum snp_product product, uint64_t raw)
{
    return (struct snp_tcb){
        .fmc = component(raw, products[product].fmc),
        .bootloader = component(raw, products[product].bootloader),
        .tee = component(raw, products[product].tee),
        .snp = component(raw, products[product].snp),
        .microcode = component(raw, products[product].microcode),
    };
}

bool snp_tcb_at_most(const struct snp_tcb *a, const struct snp_tcb *b)
{
    return a->fmc <= b->fmc && a->bootloader <= b->bootloader && a->tee <= b->tee &&
           a->snp <= b->snp && a->microcode <= b->microcode;
}

bool snp_tcb_equal(const struct snp_tcb *a, const struct snp_tcb *b)
{
    return snp_tcb_at_most(a, b) && snp_tcb_at_most(b, a);
}

void snp_tcb_format(enum snp_product product, const struct snp_tcb *tcb, char *ret_text)
{
    int at = 0;

    if (products[product].fmc >= 0)
        at = snprintf(ret_text, SNP_TCB_TEXT_SIZE, "fmc %u, ", tcb->fmc);
    snprintf(ret_text + at, SNP_TCB_TEXT_SIZE - (size_t)at,
             "bootloader %u, tee %u, snp %u, microcode %u", tcb->bootloader, tcb->tee, tcb->snp,
             tcb->microcode);
}
