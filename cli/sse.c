#include "cli/sse.h"

enum { LINE_MAX_BYTES = 4 * 1024 * 1024, RETRY_MS = 1000, RETRY_MAX_MS = 60000 };

void sse_parser_init(struct sse_parser *parser, client_event_fn on_event, void *data)
{
    *parser = (struct sse_parser){.on_event = on_event, .data = data};
}

void sse_parser_restart(struct sse_parser *parser)
{
    buffer_done(&parser->line);
    buffer_done(&parser->text);
    parser->event[0] = '\0';
    parser->id[0] = '\0';
    parser->reconnect = false;
}

unsigned sse_parser_wait_ms(const struct sse_parser *parser)
{
    if (parser->reconnect)
        return 1 + (unsigned)getpid() % 100;
    return parser->retry_ms ?: RETRY_MS;
}

void sse_parser_done(struct sse_parser *parser)
{
    buffer_done(&parser->line);
    buffer_done(&parser->text);
}

static void dispatch(struct sse_parser *parser)
{
    if (parser->text.size) {
        parser->seen = true;
        if (parser->id[0])
            memcpy(parser->last_id, parser->id, sizeof(parser->last_id));
        if (strcmp(parser->event, "reconnect") == 0)
            parser->reconnect = true;
        else if (!parser->on_event(parser->data, parser->event[0] ? parser->event : "message",
                                   parser->id, buffer_text(&parser->text)))
            parser->stopped = true;
    }
    buffer_done(&parser->text);
    parser->event[0] = '\0';
}

static void take_field(struct sse_parser *parser, const char *name, const char *value)
{
    if (strcmp(name, "data") == 0) {
        if (parser->text.size)
            buffer_add_text(&parser->text, "\n");
        buffer_add_text(&parser->text, value);
    } else if (strcmp(name, "event") == 0) {
        snprintf(parser->event, sizeof(parser->event), "%s", value);
    } else if (strcmp(name, "id") == 0) {
        snprintf(parser->id, sizeof(parser->id), "%s", value);
    } else if (strcmp(name, "retry") == 0 && value[0] &&
               value[strspn(value, "0123456789")] == '\0') {
        unsigned long wait = strtoul(value, NULL, 10);
        parser->retry_ms = wait < RETRY_MAX_MS ? (unsigned)wait : RETRY_MAX_MS;
    }
}

static void take_line(struct sse_parser *parser, char *line)
{
    if (line[0] == '\0') {
        dispatch(parser);
        return;
    }
    char *colon = strchr(line, ':');
    if (colon == line)
        return; /* a comment: the server is alive */
    const char *value = "";
    if (colon) {
        *colon = '\0';
        value = colon[1] == ' ' ? colon + 2 : colon + 1;
    }
    take_field(parser, line, value);
}

bool sse_parser_feed(struct sse_parser *parser, const char *data, size_t size)
{
    for (size_t i = 0; i < size && !parser->stopped && !parser->reconnect; i++) {
        if (data[i] == '\n') {
            char *line = buffer_take_text(&parser->line);
            take_line(parser, line);
            free(line);
        } else if (data[i] != '\r') {
            buffer_add(&parser->line, &data[i], 1);
        }
        if (parser->line.size + parser->text.size > LINE_MAX_BYTES)
            return false;
    }
    return !parser->stopped && !parser->reconnect;
}
