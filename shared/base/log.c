#include "shared/base/log.h"

#include <jansson.h>
#include <pthread.h>
#include <stdarg.h>

#include "shared/base/clock.h"

static struct {
    pthread_mutex_t lock;
    const char *service;
    enum log_level min_level;
    void (*sink)(void *data, const char *line);
    void *sink_data;
} state = {.lock = PTHREAD_MUTEX_INITIALIZER, .service = "coffer", .min_level = LOG_LEVEL_INFO};

static const char *const level_names[] = {"debug", "info", "warning", "error"};

void log_init(const char *service, enum log_level min_level)
{
    state.service = service;
    state.min_level = min_level;
}

bool log_level_from_name(const char *name, enum log_level *ret_level)
{
    for (size_t i = 0; i < ELEMENTSOF(level_names); i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *ret_level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

void log_set_sink(void (*sink)(void *data, const char *line), void *data)
{
    pthread_mutex_lock(&state.lock);
    state.sink = sink;
    state.sink_data = data;
    pthread_mutex_unlock(&state.lock);
}

static void set_text(json_t *line, const char *name, const char *text)
{
    json_t *value = json_string(text);

    /* Text that is not UTF-8 (a tool's output) is kept as far as JSON can carry it. */
    json_object_set_new(line, name, value ? value : json_string("(not valid UTF-8)"));
}

static void emit(json_t *line)
{
    char *text = json_dumps(line, JSON_COMPACT | JSON_PRESERVE_ORDER);

    if (!text)
        return;
    pthread_mutex_lock(&state.lock);
    fprintf(stderr, "%s\n", text);
    if (state.sink)
        state.sink(state.sink_data, text);
    pthread_mutex_unlock(&state.lock);
    free(text);
}

void log_event(enum log_level level, const char *msg, ...)
{
    char now[CLOCK_TEXT_SIZE];
    va_list args;

    if (level < state.min_level)
        return;
    json_t *line = json_object();
    clock_format(clock_wall_ms(clock_system()), now);
    set_text(line, "time", now);
    set_text(line, "level", level_names[level]);
    set_text(line, "service", state.service);
    set_text(line, "msg", msg);
    va_start(args, msg);
    for (const char *name = va_arg(args, const char *); name; name = va_arg(args, const char *)) {
        const char *text = va_arg(args, const char *);
        if (text)
            set_text(line, name, text);
    }
    va_end(args);
    emit(line);
    json_decref(line);
}

void log_failure(enum log_level level, const char *msg, struct error *err)
{
    if (!err)
        return;
    log_event(level, msg, "error", error_text(err), "code", error_code_name(error_get_code(err)),
              "origin", error_origin(err), NULL);
    error_free(err);
}
