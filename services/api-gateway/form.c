#include "services/api-gateway/form.h"

#include "services/api-gateway/audit.h"

#include <assert.h>

#include "services/api-gateway/money.h"

void form_init(struct form *form, struct request *request, const json_t *json)
{
    *form = (struct form){.request = request, .json = json};
    if (!request->findings)
        request->findings = arena_alloc(request->arena, sizeof(*request->findings));
}

void form_find(struct form *form, const char *where, const char *what, const char *fix)
{
    struct finding finding = {
        .rule = "field",
        .where = where,
        .what = what,
        .why = "a request is taken only when it is right in every part",
        .fix = fix,
    };

    findings_add(form->request->findings, form->request->arena, &finding);
}

static json_t *take(struct form *form, const char *name)
{
    assert(form->n_taken < ELEMENTSOF(form->taken));
    form->taken[form->n_taken++] = name;
    json_t *value = json_object_get(form->json, name);
    return json_is_null(value) ? NULL : value;
}

json_t *form_value(struct form *form, const char *name)
{
    return take(form, name);
}

const char *form_text(struct form *form, const char *name, bool required, size_t max)
{
    const json_t *value = take(form, name);
    const char *text = json_string_value(value);
    struct arena *arena = form->request->arena;

    if (!value && required)
        form_find(form, name, arena_printf(arena, "'%s' is missing", name), "give it");
    else if (value && !text)
        form_find(form, name, arena_printf(arena, "'%s' is not a text", name),
                  "write it in quotes");
    else if (text && required && !*text)
        form_find(form, name, arena_printf(arena, "'%s' is empty", name), "give it");
    else if (text && strlen(text) > max)
        form_find(form, name, arena_printf(arena, "'%s' is longer than %zu bytes", name, max),
                  "shorten it");
    else
        return text ? arena_strdup(arena, text) : NULL;
    return NULL;
}

const char *form_name(struct form *form, const char *name, bool required, size_t max)
{
    const char *text = form_text(form, name, required, max);

    for (const char *p = text ?: ""; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f) {
            form_find(form, name,
                      arena_printf(form->request->arena, "'%s' has a control character", name),
                      "write it in one line of plain text");
            return NULL;
        }
    return text;
}

uint64_t form_uint(struct form *form, const char *name, uint64_t min, uint64_t max,
                   uint64_t fallback)
{
    const json_t *value = take(form, name);
    json_int_t number = json_integer_value(value);

    if (!value && fallback >= min)
        return fallback;
    if (json_is_integer(value) && number >= 0 && (uint64_t)number >= min && (uint64_t)number <= max)
        return (uint64_t)number;
    form_find(
        form, name,
        arena_printf(form->request->arena, "'%s' is %s", name, value ? "out of range" : "missing"),
        arena_printf(form->request->arena, "give a whole number from %llu to %llu",
                     (unsigned long long)min, (unsigned long long)max));
    return min;
}

uint64_t form_usd(struct form *form, const char *name)
{
    const json_t *value = take(form, name);
    uint64_t micros = 0;

    if (!value)
        form_find(form, name, arena_printf(form->request->arena, "'%s' is missing", name),
                  "give USD as a number, for example 0.25");
    else if (!usd_from_json(value, &micros))
        form_find(form, name,
                  arena_printf(form->request->arena, "'%s' is no possible sum of USD", name),
                  "give a number of more than 0 and at most 1000000, with at most six decimals");
    return micros;
}

bool form_bool(struct form *form, const char *name, bool fallback)
{
    const json_t *value = take(form, name);

    if (value && !json_is_boolean(value))
        form_find(form, name, arena_printf(form->request->arena, "'%s' is not a boolean", name),
                  "write true or false");
    return value ? json_is_true(value) : fallback;
}

json_t *form_member(struct form *form, const char *name, json_type type, size_t max)
{
    json_t *value = take(form, name);
    struct arena *arena = form->request->arena;

    if (!value)
        return NULL;
    if (json_typeof(value) != type) {
        form_find(form, name,
                  arena_printf(arena, "'%s' is not %s", name,
                               type == JSON_ARRAY ? "a list" : "an object"),
                  type == JSON_ARRAY ? "write [ ... ]" : "write { ... }");
        return NULL;
    }
    size_t n = type == JSON_ARRAY ? json_array_size(value) : json_object_size(value);
    if (n <= max)
        return value;
    form_find(form, name, arena_printf(arena, "'%s' has %zu entries", name, n),
              arena_printf(arena, "give at most %zu", max));
    return NULL;
}

static bool was_taken(const struct form *form, const char *name)
{
    for (size_t i = 0; i < form->n_taken; i++)
        if (strcmp(form->taken[i], name) == 0)
            return true;
    return false;
}

void form_finish(struct form *form)
{
    void *member = json_object_iter((json_t *)form->json);

    for (; member; member = json_object_iter_next((json_t *)form->json, member)) {
        const char *name = json_object_iter_key(member);
        if (!was_taken(form, name))
            form_find(form, arena_printf(form->request->arena, "%.64s", name),
                      arena_printf(form->request->arena, "there is no field '%.64s'", name),
                      "remove it, or correct its name");
    }
}

struct error *form_result(const struct form *form)
{
    size_t n = form->request->findings->n;

    if (n == 0)
        return NULL;
    return error_new(ERROR_INVALID_ARGUMENT, "%zu problem%s, see findings", n, n == 1 ? "" : "s");
}

struct error *form_open(struct form *form, struct request *request)
{
    json_t *body = NULL;
    struct error *err = http_json(request, &body);

    if (err)
        return err;
    form_init(form, request, body);
    form->body = body;
    return NULL;
}

struct error *form_close(struct form *form)
{
    form_finish(form);
    json_decref(form->body);
    return form_result(form);
}

struct error *form_close_edit(struct form *form, bool changes, const char *where, const char *fix)
{
    struct error *err = form_close(form);

    if (err || changes)
        return err;
    form_find(form, where, "nothing is to be changed", fix);
    return form_result(form);
}

bool form_active(struct form *form, bool *ret_active)
{
    bool given = form_value(form, "active") != NULL;

    *ret_active = form_bool(form, "active", true);
    return given;
}

struct error *form_read_text(struct request *request, const char *name, size_t max,
                             const char **ret_text)
{
    struct form form;
    struct error *err = form_open(&form, request);

    if (err)
        return err;
    const char *text = form_text(&form, name, true, max);
    err = form_close(&form);
    if (!err)
        *ret_text = text;
    return err;
}

struct error *form_object(struct request *request, const json_t *body, const char *name, size_t max,
                          char **ret_text)
{
    struct form form;

    form_init(&form, request, body);
    const char *text = form_text(&form, name, true, max);
    struct error *err = form_close(&form);
    if (err)
        return err;
    audit_about(request, text);
    *ret_text = (char *)text;
    return NULL;
}

struct error *form_read_object(struct request *request, const char *name, size_t max,
                               char **ret_text)
{
    _cleanup_(json_decrefp) json_t *body = NULL;
    struct error *err = http_json(request, &body);

    return err ?: form_object(request, body, name, max, ret_text);
}
