#include "shared/collateral/item.h"

#include "shared/base/alloc.h"

void item_done(struct item *item)
{
    buffer_done(&item->body);
    free(item->note);
    *item = (struct item){};
}

void item_copy(const struct item *item, struct item *ret_item)
{
    struct item copy = {
        .fetched_at_ms = item->fetched_at_ms, .cached = item->cached, .stale = item->stale};

    buffer_add(&copy.body, item->body.data, item->body.size);
    copy.note = xstrdup(item->note);
    *ret_item = copy;
}
