/* Built without TEE_SOFTWARE: there is no software TEE. */
#include "shared/attestation/tee_backends.h"

struct error *tee_software_open(_unused_ const char *path, _unused_ struct tee **ret_tee)
{
    return error_new(ERROR_UNIMPLEMENTED, "built without the software TEE");
}
