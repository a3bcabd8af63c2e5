/* YAML text -> tree, from libyaml's events: bounded in depth, events, aliases and expansion. */
#include <assert.h>
#include <string.h>
#include <yaml.h>

#include "shared/compose/lint_private.h"
#include "shared/compose/node.h"

#define ANCHORS_MAX 128

struct frame {
    struct node *node;
    const char *anchor; /* "" none */
    const char *key;    /* mapping: read, its value is awaited; NULL: a key comes next */
    unsigned key_line;
};

struct anchor {
    const char *name;
    struct node *node; /* its line is that of the anchor */
};

struct reading {
    struct arena *arena;
    struct findings *findings;
    struct frame stack[NODE_DEPTH_MAX];
    size_t depth;
    struct anchor anchors[ANCHORS_MAX];
    size_t n_anchors;
    size_t n_aliases;
    size_t n_events;
    size_t n_documents;
    struct node *root;
    bool stop;
};

static void find(struct reading *reading, const char *rule, unsigned line, const char *what,
                 const char *why, const char *fix)
{
    struct finding finding = {rule, "", line, what, why, fix};

    findings_add(reading->findings, reading->arena, &finding);
}

static void refuse(struct reading *reading, unsigned line, const char *what)
{
    find(reading, "yaml-limit", line, what,
         "a document that expands or nests without limit would cost the service more than its "
         "author",
         "write the values out, with fewer levels and aliases");
    reading->stop = true;
}

static const struct anchor *find_anchor(const struct reading *reading, const char *name)
{
    for (size_t i = reading->n_anchors; i > 0; i--)
        if (strcmp(reading->anchors[i - 1].name, name) == 0)
            return &reading->anchors[i - 1];
    return NULL;
}

/* A free name that the user could take for the second of two. */
static const char *other_name(const struct reading *reading, const char *name)
{
    for (size_t n = 2;; n++) {
        const char *other = arena_printf(reading->arena, "%s%zu", name, n);
        if (!find_anchor(reading, other))
            return other;
    }
}

/* Also of one inside the other: which of the two an alias means is where readers differ. */
static void refuse_anchor(struct reading *reading, const struct anchor *first,
                          const struct anchor *second)
{
    struct arena *arena = reading->arena;
    const char *name = lint_show(arena, first->name);
    const char *other = lint_show(arena, other_name(reading, first->name));

    find(reading, "duplicate-anchor", second->node->line,
         arena_printf(arena, "the anchor '&%s' is given twice, on line %u and on line %u", name,
                      first->node->line, second->node->line),
         arena_printf(arena,
                      "readers of YAML disagree on which of the two '*%s' means, so another "
                      "text could run than the one that was checked",
                      name),
         arena_printf(arena,
                      "give the one on line %u a name of its own, such as '&%s', and write '*%s' "
                      "where it is meant; remove it when nothing uses it",
                      second->node->line, other, other));
    reading->stop = true;
}

static void add_anchor(struct reading *reading, const char *name, struct node *node)
{
    const struct anchor added = {name, node};

    if (!*name)
        return;
    const struct anchor *first = find_anchor(reading, name);
    if (first && first->node->line <= node->line)
        refuse_anchor(reading, first, &added);
    else if (first) /* it stands inside this one, and is complete earlier */
        refuse_anchor(reading, &added, first);
    else if (reading->n_anchors == ANCHORS_MAX)
        refuse(reading, node->line, "too many anchors");
    else
        reading->anchors[reading->n_anchors++] = added;
}

static void take_key(struct reading *reading, struct frame *frame, const struct node *node)
{
    if (node->kind != NODE_SCALAR) {
        find(reading, "yaml", node->line, "a key that is not a text", "compose keys are names",
             "write the key as a plain word");
        reading->stop = true;
        return;
    }
    frame->key = node->text;
    frame->key_line = node->line;
}

static void add_pair(struct reading *reading, struct node *mapping, const struct node_pair *pair)
{
    if (mapping->n == NODE_KEYS_MAX)
        refuse(reading, pair->line, "too many keys in one mapping");
    else
        node_add_pair(reading->arena, mapping, pair);
}

static void take_value(struct reading *reading, struct frame *frame, struct node *node)
{
    struct node_pair pair = {frame->key, frame->key_line, node};

    if (strcmp(pair.key, "<<") != 0 && node_get(frame->node, pair.key))
        find(reading, "duplicate-key", pair.line,
             arena_printf(reading->arena, "'%s' is given twice",
                          lint_show(reading->arena, pair.key)),
             "readers disagree on which of the two counts", "keep one of them");
    else
        add_pair(reading, frame->node, &pair);
    frame->key = NULL;
}

/* A node is complete: into what is open, or it is the document. */
static void put(struct reading *reading, struct node *node)
{
    if (reading->depth == 0) {
        reading->root = node;
        return;
    }
    struct frame *frame = &reading->stack[reading->depth - 1];
    if (frame->node->kind == NODE_SEQUENCE)
        node_add_item(reading->arena, frame->node, node);
    else if (!frame->key)
        take_key(reading, frame, node);
    else
        take_value(reading, frame, node);
    if (frame->node->weight > NODE_WEIGHT_MAX)
        refuse(reading, node->line, "the document is too large when its aliases are expanded");
}

static void refuse_tag(struct reading *reading, unsigned line)
{
    find(reading, "yaml-tag", line, "an explicit tag (a word that begins with '!')",
         "tags change how values are read and merged", "remove the tag");
}

static void on_scalar(struct reading *reading, const yaml_event_t *event, unsigned line)
{
    struct node *node = node_new(reading->arena, NODE_SCALAR, line);
    const char *value = (const char *)event->data.scalar.value;
    const char *anchor = (const char *)event->data.scalar.anchor;

    if (event->data.scalar.tag)
        refuse_tag(reading, line);
    if (strlen(value) != event->data.scalar.length)
        find(reading, "yaml", line, "a NUL character", "no tool keeps it", "remove it");
    node->text = arena_strdup(reading->arena, value);
    node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    add_anchor(reading, arena_strdup(reading->arena, anchor), node);
    put(reading, node);
}

static void on_open(struct reading *reading, enum node_kind kind, const yaml_char_t *anchor,
                    const yaml_char_t *tag, unsigned line)
{
    if (tag)
        refuse_tag(reading, line);
    if (reading->depth == NODE_DEPTH_MAX) {
        refuse(reading, line, "nested too deeply");
        return;
    }
    reading->stack[reading->depth++] = (struct frame){
        .node = node_new(reading->arena, kind, line),
        .anchor = arena_strdup(reading->arena, (const char *)anchor),
    };
}

static void merge_one(struct reading *reading, struct node *into, const struct node *from)
{
    if (from->kind != NODE_MAPPING) {
        find(reading, "yaml", from->line, "'<<' of something that is not a mapping",
             "only mappings can be merged", "merge a mapping, or a list of mappings");
        return;
    }
    for (size_t i = 0; i < from->n && !reading->stop; i++)
        if (!node_get(into, from->pairs[i].key))
            add_pair(reading, into, &from->pairs[i]);
}

/* The merge key: keys of the mapping itself win, then the earlier of several. */
static struct node *merged(struct reading *reading, const struct node *node)
{
    struct node *result = node_new(reading->arena, NODE_MAPPING, node->line);

    for (size_t i = 0; i < node->n; i++)
        if (strcmp(node->pairs[i].key, "<<") != 0)
            node_add_pair(reading->arena, result, &node->pairs[i]);
    for (size_t i = 0; i < node->n; i++) {
        if (strcmp(node->pairs[i].key, "<<") != 0)
            continue;
        const struct node *from = node->pairs[i].value;
        if (from->kind != NODE_SEQUENCE)
            merge_one(reading, result, from);
        for (size_t j = 0; from->kind == NODE_SEQUENCE && j < from->n; j++)
            merge_one(reading, result, from->items[j]);
    }
    return result;
}

static void on_close(struct reading *reading)
{
    assert(reading->depth > 0); /* libyaml ends only what it began, and one begun too deep stops */
    struct frame frame = reading->stack[--reading->depth];
    struct node *node = frame.node;

    assert(node);
    if (node->kind == NODE_MAPPING && node_get(node, "<<"))
        node = merged(reading, node);
    add_anchor(reading, frame.anchor, node);
    put(reading, node);
}

static void on_alias(struct reading *reading, const yaml_event_t *event, unsigned line)
{
    const char *name = (const char *)event->data.alias.anchor;
    const struct anchor *anchor = find_anchor(reading, name);

    if (++reading->n_aliases > NODE_ALIASES_MAX) {
        refuse(reading, line,
               arena_printf(reading->arena, "more than %d aliases", NODE_ALIASES_MAX));
    } else if (!anchor) {
        find(reading, "yaml", line,
             arena_printf(reading->arena, "alias '*%s' of an anchor that is not complete before it",
                          lint_show(reading->arena, name)),
             "an alias repeats what stands above it", "define the anchor first");
        reading->stop = true;
    } else {
        put(reading, anchor->node);
    }
}

static void on_document(struct reading *reading, unsigned line)
{
    if (reading->n_documents++ == 0)
        return;
    find(reading, "yaml", line, "a second document in the file",
         "readers disagree on what several documents mean", "keep one document");
    reading->stop = true;
}

static void on_event(struct reading *reading, const yaml_event_t *event)
{
    unsigned line = (unsigned)event->start_mark.line + 1;

    if (++reading->n_events > NODE_EVENTS_MAX)
        refuse(reading, line, "too many values");
    else if (event->type == YAML_DOCUMENT_START_EVENT)
        on_document(reading, line);
    else if (event->type == YAML_SCALAR_EVENT)
        on_scalar(reading, event, line);
    else if (event->type == YAML_ALIAS_EVENT)
        on_alias(reading, event, line);
    else if (event->type == YAML_SEQUENCE_START_EVENT)
        on_open(reading, NODE_SEQUENCE, event->data.sequence_start.anchor,
                event->data.sequence_start.tag, line);
    else if (event->type == YAML_MAPPING_START_EVENT)
        on_open(reading, NODE_MAPPING, event->data.mapping_start.anchor,
                event->data.mapping_start.tag, line);
    else if (event->type == YAML_SEQUENCE_END_EVENT || event->type == YAML_MAPPING_END_EVENT)
        on_close(reading);
    else if (event->type == YAML_STREAM_END_EVENT)
        reading->stop = true;
}

static void on_broken(struct reading *reading, const yaml_parser_t *parser)
{
    find(reading, "yaml", (unsigned)parser->problem_mark.line + 1,
         arena_printf(reading->arena, "not YAML: %s",
                      parser->problem ? parser->problem : "cannot be read"),
         "nothing behind this place can be understood",
         "check the indentation and the quotes near this line");
    reading->root = NULL;
}

/* One at the start is the mark of an encoding, as some editors write it. libyaml skips it before
 * any line, other readers take it for a letter: then indentation and keys are not the same. */
static size_t skip_mark(struct reading *reading, const char *text, size_t size)
{
    static const char mark[] = "\xef\xbb\xbf";
    size_t skipped = size >= 3 && memcmp(text, mark, 3) == 0 ? 3 : 0;
    const char *other = memmem(text + skipped, size - skipped, mark, 3);
    unsigned line = 1;

    if (!other)
        return skipped;
    for (const char *p = text; p < other; p++)
        line += *p == '\n';
    find(reading, "yaml", line, "a byte order mark (U+FEFF) inside the text",
         "it is not seen, and readers disagree on whether it counts", "remove it");
    reading->stop = true;
    return skipped;
}

void node_from_yaml(const char *text, size_t size, struct arena *arena, struct findings *findings,
                    struct node **ret_root)
{
    struct reading reading = {.arena = arena, .findings = findings};
    yaml_parser_t parser;
    yaml_event_t event;
    size_t skipped = skip_mark(&reading, text, size);

    if (!yaml_parser_initialize(&parser))
        abort();
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text + skipped, size - skipped);
    while (!reading.stop) {
        if (!yaml_parser_parse(&parser, &event)) {
            on_broken(&reading, &parser);
            break;
        }
        on_event(&reading, &event);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    *ret_root = reading.root;
}
