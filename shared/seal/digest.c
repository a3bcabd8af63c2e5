#include <assert.h>
#include <openssl/evp.h>

#include "shared/seal/seal.h"

void sha256(const void *data, size_t size, uint8_t ret_digest[SHA256_SIZE])
{
    int ok = EVP_Digest(data, size, ret_digest, NULL, EVP_sha256(), NULL);

    assert(ok == 1);
}
