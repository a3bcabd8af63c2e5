/* Domain metadata, as whoever may edit a domain could leave it. */
#include "services/host-agent/domain_xml.h"
#include "shared/base/alloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *text = xstrndup((const char *)data, size);
    _cleanup_facts_ struct vm_facts facts = {0};

    error_free(domain_metadata_parse("coffer-w1", text, &facts));
    return 0;
}
