/* `coffer webhooks`: where events are sent, signed. */
#include <stdio.h>

#include "cli/ask.h"
#include "cli/command.h"
#include "cli/flags.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"

static struct error *call(const char *method, const char *path, const json_t *body,
                          json_t **ret_json)
{
    _cleanup_(client_freep) struct client *client = NULL;
    struct error *err = client_open(&client);

    return err ?: client_call(client, method, path, body, ret_json);
}

/* Event kinds, "a,b" or one an option. */
static json_t *events_json(const struct flag_list *list)
{
    json_t *events = json_array();

    for (int i = 0; i < list->n; i++) {
        for (const char *word = list->items[i]; *word;) {
            size_t size = strcspn(word, ",");
            if (size)
                json_array_append_new(events, json_stringn(word, size));
            word += size + (word[size] == ',');
        }
    }
    return events;
}

static bool is_off(const json_t *webhook)
{
    return json_is_false(json_object_get(webhook, "active"));
}

/* The secret alone on stdout, as of keys: it can go straight into a file. */
static int print_secret(const json_t *webhook, bool json)
{
    const char *secret = json_string_value(json_object_get(webhook, "secret"));

    if (json)
        return output_json(webhook);
    if (!secret)
        return EXIT_OK;
    terminal_fprintf(stderr,
                     "webhook %s. Its secret, shown only now, checks Coffer-Signature: "
                     "HMAC-SHA256(secret, \"<t>.<body>\")\n",
                     output_text(webhook, "webhookId"));
    fflush(stderr);
    terminal_printf("%s\n", secret);
    return EXIT_OK;
}

struct webhook_options {
    const char *url;
    const char *description;
    struct flag_list events;
    bool rotate;
    bool enable;
    bool disable;
};

static json_t *body_of(const struct webhook_options *o, const char *id)
{
    json_t *body = json_pack("{s:s*, s:s*, s:s*}", "webhookId", id, "url", o->url, "description",
                             o->description);

    if (body && o->events.n)
        json_object_set_new(body, "events", events_json(&o->events));
    if (body && (o->enable || o->disable))
        json_object_set_new(body, "active", json_boolean(o->enable));
    if (body && o->rotate)
        json_object_set_new(body, "rotateSecret", json_true());
    return body;
}

int webhooks_create_main(int argc, char **argv)
{
    struct webhook_options options = {0};
    const struct flag table[] = {
        {"event", 'e', FLAG_LIST, &options.events, 0, 0},
        {.name = "description", .kind = FLAG_TEXT, .into = &options.description},
        {.name = "disable", .kind = FLAG_BOOL, .into = &options.disable},
    };
    struct flags flags = {.usage = "webhooks create URL [--event KIND,KIND]... "
                                   "[--description TEXT] [--disable]",
                          .table = table,
                          .n = ELEMENTSOF(table),
                          .min_operands = 1,
                          .max_operands = 1};
    _cleanup_(json_decrefp) json_t *body = NULL;
    _cleanup_(json_decrefp) json_t *webhook = NULL;
    int code = flags_parse(argc, argv, &flags);

    if (code != EXIT_OK)
        return code;
    options.url = flags.operands[0];
    body = body_of(&options, NULL);
    if (!body)
        return command_usage("what is given is not UTF-8");
    code = command_fail(call("POST", "/api/v1/webhooks/create", body, &webhook));
    return code == EXIT_OK ? print_secret(webhook, flags.json) : code;
}

static const char *state_of(const json_t *webhook, _unused_ char text[COLUMN_TEXT_MAX])
{
    return is_off(webhook) ? "disabled" : "active";
}

static const char *events_of(const json_t *webhook, char text[COLUMN_TEXT_MAX])
{
    const json_t *events = json_object_get(webhook, "events");
    const json_t *event;
    size_t used = 0;
    size_t i;

    text[0] = '\0';
    json_array_foreach(events, i, event) if (used < COLUMN_TEXT_MAX) used += (size_t)snprintf(
        text + used, COLUMN_TEXT_MAX - used, "%s%s", i ? "," : "", json_string_value(event) ?: "?");
    return text;
}

static const struct column webhook_columns[] = {
    {.title = "WEBHOOK", .member = "webhookId"},
    {.title = "STATE", .kind = COLUMN_STATUS, .make = state_of},
    {.title = "URL", .member = "url"},
    {.title = "EVENTS", .make = events_of},
    {.title = "CREATED", .member = "createdAt", .kind = COLUMN_TIME},
    {.title = "DESCRIPTION", .member = "description", .wide = true},
};

static struct error *load(const char *path, json_t **ret_list)
{
    _cleanup_(client_freep) struct client *client = NULL;
    struct error *err = client_open(&client);

    return err ?: client_list(client, path, ret_list);
}

int webhooks_list_main(int argc, char **argv)
{
    struct flags flags = {.usage = "webhooks ls"};
    _cleanup_(json_decrefp) json_t *list = NULL;
    int code = flags_parse(argc, argv, &flags);

    if (code == EXIT_OK)
        code = command_fail(load("/api/v1/webhooks/list", &list));
    if (code != EXIT_OK || flags.json)
        return code != EXIT_OK ? code : output_json(list);
    return output_list(list, webhook_columns, ELEMENTSOF(webhook_columns));
}

/* How it goes with what is sent there; only what the gateway says. */
static void print_health(const json_t *webhook)
{
    static const char *const rows[][2] = {
        {"waiting", "pendingDeliveries"},
        {"dropped", "droppedDeliveries"},
        {"failed last", "failuresInARow"},
    };
    const char *why = json_string_value(json_object_get(webhook, "disabledReason"));

    if (why)
        terminal_printf("%-14s %s\n", "because", why);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const json_t *count = json_object_get(webhook, rows[i][1]);
        if (json_is_integer(count))
            terminal_printf("%-14s %" JSON_INTEGER_FORMAT "\n", rows[i][0],
                            json_integer_value(count));
    }
}

static int print_webhook(const json_t *webhook, bool json)
{
    char events[COLUMN_TEXT_MAX];

    if (json)
        return output_json(webhook);
    terminal_printf("%-14s %s\n%-14s %s\n%-14s %s\n", "webhook", output_text(webhook, "webhookId"),
                    "URL", output_text(webhook, "url"), "state",
                    is_off(webhook) ? "disabled" : "active");
    terminal_printf("%-14s %s\n", "events", events_of(webhook, events));
    terminal_printf("%-14s %s\n%-14s %s\n", "description", output_text(webhook, "description"),
                    "created", output_text(webhook, "createdAt"));
    print_health(webhook);
    return EXIT_OK;
}

/* The id becomes part of a path. */
static int parse_one(int argc, char **argv, struct flags *flags)
{
    int code;

    flags->min_operands = flags->max_operands = 1;
    code = flags_parse(argc, argv, flags);
    if (code == EXIT_OK && !name_is_valid(flags->operands[0]))
        return command_usage("exactly one webhook is needed, by its id");
    return code;
}

int webhooks_show_main(int argc, char **argv)
{
    struct flags flags = {.usage = "webhooks show WEBHOOK"};
    _cleanup_(json_decrefp) json_t *webhook = NULL;
    int code = parse_one(argc, argv, &flags);

    if (code != EXIT_OK)
        return code;
    _cleanup_free_ char *path = xasprintf("/api/v1/webhooks/%s", flags.operands[0]);
    code = command_fail(call("GET", path, NULL, &webhook));
    return code == EXIT_OK ? print_webhook(webhook, flags.json) : code;
}

int webhooks_update_main(int argc, char **argv)
{
    struct webhook_options options = {0};
    const struct flag table[] = {
        {.name = "url", .kind = FLAG_TEXT, .into = &options.url},
        {"event", 'e', FLAG_LIST, &options.events, 0, 0},
        {.name = "description", .kind = FLAG_TEXT, .into = &options.description},
        {.name = "rotate-secret", .kind = FLAG_BOOL, .into = &options.rotate},
        {.name = "enable", .kind = FLAG_BOOL, .into = &options.enable},
        {.name = "disable", .kind = FLAG_BOOL, .into = &options.disable},
    };
    struct flags flags = {.usage = "webhooks update WEBHOOK [--url URL] [--event KIND,KIND]... "
                                   "[--description TEXT] [--rotate-secret] [--enable | --disable]",
                          .table = table,
                          .n = ELEMENTSOF(table)};
    _cleanup_(json_decrefp) json_t *webhook = NULL;
    int code = parse_one(argc, argv, &flags);

    if (code != EXIT_OK)
        return code;
    _cleanup_(json_decrefp) json_t *body = body_of(&options, flags.operands[0]);
    if (!body || json_object_size(body) < 2 || (options.enable && options.disable))
        return command_usage("say what changes, in UTF-8, and not both --enable and --disable");
    code = command_fail(call("PUT", "/api/v1/webhooks/update", body, &webhook));
    if (code != EXIT_OK)
        return code;
    if (!flags.json && !options.rotate)
        terminal_printf("%s changed\n", flags.operands[0]);
    return flags.json || options.rotate ? print_secret(webhook, flags.json) : EXIT_OK;
}

static int post(const char *id, const char *path, const char *done, bool json)
{
    _cleanup_(json_decrefp) json_t *body = json_pack("{s:s}", "webhookId", id);
    _cleanup_(json_decrefp) json_t *answer = NULL;
    int code = command_fail(call("POST", path, body, &answer));

    if (code == EXIT_OK && json)
        return output_json(answer);
    if (code == EXIT_OK)
        terminal_printf("%s %s\n", id, done);
    return code;
}

int webhooks_remove_main(int argc, char **argv)
{
    struct flags flags = {.usage = "webhooks rm WEBHOOK [--yes]"};
    int code = parse_one(argc, argv, &flags);

    if (code != EXIT_OK)
        return code;
    if (!flags.yes && !ask_yes("Nothing is sent there any more; what still waits is dropped."))
        return EXIT_FAILED;
    return post(flags.operands[0], "/api/v1/webhooks/delete", "removed", flags.json);
}

int webhooks_test_main(int argc, char **argv)
{
    struct flags flags = {.usage = "webhooks test WEBHOOK"};
    int code = parse_one(argc, argv, &flags);

    return code == EXIT_OK ? post(flags.operands[0], "/api/v1/webhooks/test",
                                  "is sent a test; see: coffer webhooks deliveries", flags.json)
                           : code;
}

static const char *answer_of(const json_t *delivery, char text[COLUMN_TEXT_MAX])
{
    json_int_t status = json_integer_value(json_object_get(delivery, "responseStatus"));
    const char *why = json_string_value(json_object_get(delivery, "error"));

    if (status)
        snprintf(text, COLUMN_TEXT_MAX, "HTTP %" JSON_INTEGER_FORMAT "%s%s", status,
                 why ? ": " : "", why ?: "");
    else
        snprintf(text, COLUMN_TEXT_MAX, "%s", why ?: "-");
    return text;
}

static const struct column delivery_columns[] = {
    {.title = "DELIVERY", .member = "deliveryId"},
    {.title = "AT", .member = "at", .kind = COLUMN_TIME},
    {.title = "KIND", .member = "kind"},
    {.title = "STATUS", .member = "status", .kind = COLUMN_STATUS},
    {.title = "TRIES", .member = "attempts", .kind = COLUMN_INT},
    {.title = "ANSWER", .make = answer_of},
    {.title = "AGAIN", .member = "nextAttemptAt", .kind = COLUMN_TIME},
};

int webhooks_deliveries_main(int argc, char **argv)
{
    struct flags flags = {.usage = "webhooks deliveries WEBHOOK"};
    _cleanup_(json_decrefp) json_t *answer = NULL;
    int code = parse_one(argc, argv, &flags);

    if (code != EXIT_OK)
        return code;
    _cleanup_free_ char *path = xasprintf("/api/v1/webhooks/%s/deliveries", flags.operands[0]);
    code = command_fail(call("GET", path, NULL, &answer));
    if (code != EXIT_OK || flags.json)
        return code != EXIT_OK ? code : output_json(answer);
    return output_list(json_object_get(answer, "deliveries"), delivery_columns,
                       ELEMENTSOF(delivery_columns));
}
