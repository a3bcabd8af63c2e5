/* Bytes of hosts and guests: the first byte picks a row of the subject table, the rest is the
 * payload. What is accepted must pack again. */
#include <assert.h>
#include <stdlib.h>

#include "shared/bus/bus.h"
#include "shared/bus/subject.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ProtobufCMessageDescriptor *pick(uint8_t n)
{
    size_t rows = 0;

    while (subject_table[rows].pattern)
        rows++;
    assert(rows);
    const struct subject_row *row = &subject_table[n / 2 % rows];
    return n % 2 && row->reply ? row->reply : row->message;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    void *message = NULL;

    if (size < 1 || size > BUS_PAYLOAD_MAX)
        return 0;
    struct error *err = bus_unpack(pick(data[0]), data + 1, size - 1, arena, &message);
    if (!err) {
        size_t packed = protobuf_c_message_get_packed_size(message);
        void *out = arena_alloc(arena, packed + 1);
        if (protobuf_c_message_pack(message, out) != packed)
            abort();
    }
    error_free(err);
    return 0;
}
