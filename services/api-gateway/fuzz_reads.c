/* Target functions: list_cursor_read, etag_is_in, time_parse: what queries and headers of reads
 * bring. A cursor that is taken is one that we could have made. */
#include <assert.h>

#include "services/api-gateway/etag.h"
#include "services/api-gateway/list_page.h"
#include "services/api-gateway/time_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    char *text = arena_memdup(arena, data, size + !size);
    struct list_item item = {0};
    int64_t at_ms;

    text = arena_printf(arena, "%.*s", (int)size, size ? text : "");
    if (list_cursor_read(arena, text, "", &item.key, &item.id))
        assert(*item.id);
    (void)etag_is_in(text, "\"3-7-0123abcd\"", false);
    (void)etag_is_in(text, "\"3-7-0123abcd\"", true);
    (void)time_text_parse(text, &at_ms);
    return 0;
}
