#include "shared/base/arena.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "shared/base/alloc.h"

enum {
    CHUNK_SIZE = 8192,
    ALIGNMENT = 16,
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    SPARE_MAX = 0, /* what is used after its end is to be found */
#else
    SPARE_MAX = 8,
#endif
};

struct chunk {
    struct chunk *next;
    size_t size;
    size_t used;
    _Alignas(ALIGNMENT) uint8_t data[];
};

struct arena {
    struct chunk *chunks;
    ProtobufCAllocator allocator;
};

/* Chunks of arenas that a thread has freed, for its next ones: they are wiped, so they are zero. */
struct spare {
    struct chunk *chunks;
    int n;
};
static _Thread_local struct spare spare;
static pthread_once_t spare_once = PTHREAD_ONCE_INIT;
static pthread_key_t spare_key;

static void spare_done(void *data)
{
    struct spare *ended = data;
    struct chunk *next;

    for (struct chunk *chunk = ended->chunks; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    *ended = (struct spare){0};
}

static void spare_init(void)
{
    if (pthread_key_create(&spare_key, spare_done) != 0)
        abort();
}

static void chunk_free(struct chunk *chunk)
{
    OPENSSL_cleanse(chunk->data, chunk->used);
    if (chunk->size != CHUNK_SIZE || spare.n >= SPARE_MAX) {
        free(chunk);
        return;
    }
    if (!spare.n) {
        pthread_once(&spare_once, spare_init);
        pthread_setspecific(spare_key, &spare);
    }
    chunk->used = 0;
    chunk->next = spare.chunks;
    spare.chunks = chunk;
    spare.n++;
}

static void *pb_alloc(void *data, size_t size)
{
    return arena_alloc(data, size);
}

static void pb_free(_unused_ void *data, _unused_ void *pointer)
{
}

struct arena *arena_new(void)
{
    struct arena *arena = xnew(struct arena);

    arena->allocator =
        (ProtobufCAllocator){.alloc = pb_alloc, .free = pb_free, .allocator_data = arena};
    return arena;
}

void arena_free(struct arena *arena)
{
    struct chunk *next;

    if (!arena)
        return;
    for (struct chunk *chunk = arena->chunks; chunk; chunk = next) {
        next = chunk->next;
        chunk_free(chunk);
    }
    free(arena);
}

/* The last of the list is the first that was made, of the usual size but for a large first wish. */
void arena_reset(struct arena *arena)
{
    struct chunk *chunk = arena->chunks;

    while (chunk && (chunk->next || chunk->size > CHUNK_SIZE)) {
        struct chunk *next = chunk->next;
        chunk_free(chunk);
        chunk = next;
    }
    if (chunk) {
        OPENSSL_cleanse(chunk->data, chunk->used);
        chunk->used = 0;
    }
    arena->chunks = chunk;
}

static struct chunk *chunk_new(size_t size)
{
    size_t room = size > CHUNK_SIZE ? size : CHUNK_SIZE;

    if (room == CHUNK_SIZE && spare.chunks) {
        struct chunk *taken = spare.chunks;
        spare.chunks = taken->next;
        spare.n--;
        taken->next = NULL;
        return taken;
    }
    struct chunk *chunk = xcalloc(1, sizeof(struct chunk) + room);

    chunk->size = room;
    return chunk;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    size_t rounded = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct chunk *chunk = arena->chunks;

    if (rounded < size)
        abort();
    if (!chunk || chunk->size - chunk->used < rounded) {
        chunk = chunk_new(rounded);
        chunk->next = arena->chunks;
        arena->chunks = chunk;
    }
    void *data = chunk->data + chunk->used;
    chunk->used += rounded;
    return data;
}

void *arena_memdup(struct arena *arena, const void *data, size_t size)
{
    void *copy = arena_alloc(arena, size ? size : 1);

    if (size)
        memcpy(copy, data, size);
    return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
    return text ? arena_memdup(arena, text, strlen(text) + 1) : arena_memdup(arena, "", 1);
}

/* Written where it will stand, if there is room. */
char *arena_printf(struct arena *arena, const char *fmt, ...)
{
    struct chunk *chunk = arena->chunks;
    size_t room = chunk ? chunk->size - chunk->used : 0;
    char *text = room ? (char *)chunk->data + chunk->used : NULL;
    va_list args, again;

    va_start(args, fmt);
    va_copy(again, args);
    int length = vsnprintf(text, room, fmt, args);
    va_end(args);
    if (length < 0)
        abort();
    if ((size_t)length >= room && room)
        OPENSSL_cleanse(text, room); /* what is not used is zero */
    bool fits = (size_t)length < room;
    text = arena_alloc(arena, (size_t)length + 1);
    if (!fits)
        vsnprintf(text, (size_t)length + 1, fmt, again);
    va_end(again);
    return text;
}

ProtobufCAllocator *arena_allocator(struct arena *arena)
{
    return &arena->allocator;
}

ProtobufCBinaryData arena_bytes(struct arena *arena, const void *data, size_t size)
{
    return (ProtobufCBinaryData){.len = size, .data = arena_memdup(arena, data, size)};
}
