/* Built without TEE_SOFTWARE: there is no software processor. */
#include "shared/attestation/processor.h"

static struct error *refuse(void)
{
    return error_new(ERROR_UNIMPLEMENTED, "built without the software TEE");
}

struct error *processor_open(_unused_ const char *dir, _unused_ struct processor **ret_processor)
{
    return refuse();
}

void processor_free(_unused_ struct processor *processor)
{
}

const uint8_t *processor_chip_id(_unused_ const struct processor *processor)
{
    return NULL;
}

struct error *processor_report(_unused_ struct processor *processor,
                               _unused_ const struct processor_guest *guest,
                               _unused_ const uint8_t report_data[TEE_REPORT_DATA_SIZE],
                               _unused_ struct tee_evidence *ret_evidence)
{
    return refuse();
}

struct error *processor_answer(_unused_ struct processor *processor,
                               _unused_ const struct processor_guest *guest,
                               _unused_ const void *request, _unused_ size_t size,
                               _unused_ struct buffer *ret_response)
{
    return refuse();
}

struct error *tee_dev_init_root(_unused_ const char *dir)
{
    return refuse();
}

struct error *tee_dev_init_host(_unused_ const char *root_dir, _unused_ const char *dir)
{
    return refuse();
}
