#include "shared/collateral/kds.h"

#include <stdio.h>
#include <string.h>

#include "shared/base/encode.h"

#define TURIN_HWID_SIZE 8

static bool is_zero(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (data[i])
            return false;
    return true;
}

struct error *kds_chip_init(enum snp_product product, const uint8_t chip_id[64],
                            uint64_t reported_tcb, struct kds_chip *ret_chip)
{
    struct kds_chip chip = {.product = product, .hwid_size = 64};

    if (product == SNP_PRODUCT_UNKNOWN)
        return error_new(ERROR_INVALID_ARGUMENT, "the processor's product is not known");
    if (is_zero(chip_id, 64))
        return error_new(ERROR_FAILED_PRECONDITION, "the chip id is masked");
    if (product == SNP_PRODUCT_TURIN)
        chip.hwid_size = TURIN_HWID_SIZE;
    if (!is_zero(chip_id + chip.hwid_size, 64 - chip.hwid_size))
        return error_new(ERROR_INVALID_ARGUMENT, "a chip id of %s has %zu bytes, this one more",
                         snp_product_name(product), chip.hwid_size);
    memcpy(chip.hwid, chip_id, chip.hwid_size);
    chip.tcb = snp_tcb_decode(product, reported_tcb);
    *ret_chip = chip;
    return NULL;
}

void kds_path_vcek(const struct kds_chip *chip, char ret_path[KDS_PATH_MAX])
{
    const struct snp_tcb *tcb = &chip->tcb;
    char hwid[129];
    char fmc[16] = "";

    hex_encode(chip->hwid, chip->hwid_size, hwid);
    if (chip->product == SNP_PRODUCT_TURIN)
        snprintf(fmc, sizeof(fmc), "fmcSPL=%02u&", tcb->fmc);
    snprintf(ret_path, KDS_PATH_MAX,
             "/vcek/v1/%s/%s?%sblSPL=%02u&teeSPL=%02u&snpSPL=%02u&ucodeSPL=%02u",
             snp_product_name(chip->product), hwid, fmc, tcb->bootloader, tcb->tee, tcb->snp,
             tcb->microcode);
}

static void path_of(enum snp_product product, enum vek_kind kind, const char *what,
                    char ret_path[KDS_PATH_MAX])
{
    snprintf(ret_path, KDS_PATH_MAX, "/%s/v1/%s/%s", kind == VEK_VLEK ? "vlek" : "vcek",
             snp_product_name(product), what);
}

void kds_path_chain(enum snp_product product, enum vek_kind kind, char ret_path[KDS_PATH_MAX])
{
    path_of(product, kind, "cert_chain", ret_path);
}

void kds_path_crl(enum snp_product product, enum vek_kind kind, char ret_path[KDS_PATH_MAX])
{
    path_of(product, kind, "crl", ret_path);
}
