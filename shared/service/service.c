#include "shared/service/service.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "shared/base/alloc.h"
#include "shared/base/log.h"
#include "shared/bus/subject.h"
#include "shared/service/notify.h"

enum { DRAIN_MS = 5000, DRAIN_LIMIT_S = 10, BUS_CHECK_S = 2 };

static const struct config_row log_row = {
    "COFFER_LOG_LEVEL", CONFIG_STRING, offsetof(struct service_config, log_level), "info",
    "least level that is logged: debug, info, warning, error"};
static const struct config_row bus_rows[] = {
    {"COFFER_NATS_URL", CONFIG_STRING, offsetof(struct service_config, nats_url),
     "nats://127.0.0.1:4222", "servers of the bus, separated by commas"},
    {"COFFER_NATS_CREDS", CONFIG_PATH, offsetof(struct service_config, nats_credentials), "",
     "file with this program's bus credentials"},
};

/* Everything that service_main() holds while it runs. */
struct running {
    const struct service *service;
    struct config_row *rows;
    struct service_config *config;
    struct bus *bus;
    void *state;
    struct bus_subscription **subscriptions;
    size_t subscription_count;
};

void service_forbid_core_files(void)
{
    const struct rlimit none = {0, 0};

    (void)setrlimit(RLIMIT_CORE, &none);
#ifndef __SANITIZE_ADDRESS__ /* whose leak check must be able to look at its own process */
    (void)prctl(PR_SET_DUMPABLE, 0);
#endif
}

void service_request_stop(void)
{
    kill(getpid(), SIGTERM);
}

static struct config_row *join_rows(const struct service *service)
{
    size_t n = 0;

    while (service->config && service->config[n].name)
        n++;
    struct config_row *rows = xnew_array(struct config_row, ELEMENTSOF(bus_rows) + n + 2);
    size_t at = 0;
    for (size_t i = 0; !service->without_bus && i < ELEMENTSOF(bus_rows); i++)
        rows[at++] = bus_rows[i];
    rows[at++] = log_row;
    for (size_t i = 0; i < n; i++)
        rows[at++] = service->config[i];
    return rows;
}

/* Takes the flag out of argv. */
static bool take_flag(int *argc, char **argv, const char *flag)
{
    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], flag) != 0)
            continue;
        memmove(&argv[i], &argv[i + 1], (size_t)(*argc - i) * sizeof(*argv));
        (*argc)--;
        return true;
    }
    return false;
}

static void print_help(const struct service *service, const struct config_row *rows)
{
    printf("usage: %s [--check-config] [--help] [--version] [settings]\n\nsettings:\n",
           service->name);
    config_print_help(rows, stdout);
    if (!service->handlers)
        return;
    printf("\nsubjects ('%%' stands for the id):\n");
    for (const struct bus_handler *row = service->handlers; row->subject; row++)
        printf("  %-36s %s%s%s\n", row->subject, row->request->short_name, row->reply ? " -> " : "",
               row->reply ? row->reply->short_name : "");
}

static struct error *load_config(struct running *run, int argc, char **argv)
{
    enum log_level level;
    struct error *err = config_load(run->rows, argc, argv, run->config);

    if (err)
        return err;
    if (!log_level_from_name(run->config->log_level, &level))
        return error_new(ERROR_INVALID_ARGUMENT, "COFFER_LOG_LEVEL '%s' is no level",
                         run->config->log_level);
    log_init(run->service->name, level);
    return NULL;
}

static const char *id_of(const struct running *run)
{
    return run->service->id ? run->service->id(run->config) : NULL;
}

static struct error *connect_bus(struct running *run)
{
    if (run->service->without_bus) /* and without the settings of one */
        return NULL;

    const char *id = id_of(run);
    _cleanup_free_ char *name = xasprintf("%s%s%s", run->service->name, id ? "-" : "", id ?: "");
    _cleanup_free_ char *inbox = xasprintf("_INBOX.%s", name);
    const struct bus_options options = {
        .url = run->config->nats_url,
        .credentials = run->config->nats_credentials[0] ? run->config->nats_credentials : NULL,
        .name = name,
        .inbox_prefix = inbox,
    };

    return bus_connect(&options, true, &run->bus);
}

/* "cmd.host.%.start" for id "h1" gives "cmd.host.h1.start". */
static struct error *expand(const char *pattern, const char *id, char ret_subject[SUBJECT_MAX])
{
    const char *mark = strchr(pattern, '%');
    int n;

    if (mark && !id)
        return error_new(ERROR_INTERNAL, "'%s' needs an id", pattern);
    if (mark)
        n = snprintf(ret_subject, SUBJECT_MAX, "%.*s%s%s", (int)(mark - pattern), pattern, id,
                     mark + 1);
    else
        n = snprintf(ret_subject, SUBJECT_MAX, "%s", pattern);
    return n < SUBJECT_MAX ? NULL
                           : error_new(ERROR_INVALID_ARGUMENT, "subject '%s' is too long", pattern);
}

static struct error *subscribe_handlers(struct running *run)
{
    const struct bus_handler *rows = run->service->handlers;
    char subject[SUBJECT_MAX];
    size_t n = 0;

    while (rows && rows[n].subject)
        n++;
    run->subscriptions = xnew_array(struct bus_subscription *, n + 1);
    for (size_t i = 0; i < n; i++) {
        struct error *err = expand(rows[i].subject, id_of(run), subject);
        if (!err)
            err = bus_subscribe(run->bus, &rows[i], subject, run->state, &run->subscriptions[i]);
        if (err)
            return err;
        run->subscription_count = i + 1;
    }
    return NULL;
}

static struct error *start(struct running *run)
{
    struct error *err = connect_bus(run);

    if (err)
        return err;
    err = run->service->start(run->config, run->bus, &run->state);
    if (err)
        return error_wrap(err, "start");
    return subscribe_handlers(run);
}

/* Stop taking new messages, finish those in hand, stop, flush, leave. */
static void stop(struct running *run)
{
    for (size_t i = 0; i < run->subscription_count; i++)
        bus_unsubscribe(run->subscriptions[i]);
    free(run->subscriptions);
    if (run->service->stop)
        run->service->stop(run->state);
    if (run->bus)
        log_failure(LOG_LEVEL_WARNING, "drain", bus_drain(run->bus, DRAIN_MS));
    bus_free(run->bus);
}

static void block_signals(sigset_t *ret_set)
{
    sigemptyset(ret_set);
    sigaddset(ret_set, SIGTERM);
    sigaddset(ret_set, SIGINT);
    pthread_sigmask(SIG_BLOCK, ret_set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* Until a signal, or until only a new start can bring the bus back. */
static struct error *wait_for_end(struct running *run, const sigset_t *signals)
{
    const struct timespec pause = {.tv_sec = BUS_CHECK_S};

    for (;;) {
        int number = sigtimedwait(signals, NULL, &pause);
        if (number > 0) {
            log_info("stopping", "signal", sigabbrev_np(number));
            return NULL;
        }
        if (run->bus && bus_is_lost(run->bus))
            return error_new(ERROR_UNAVAILABLE, "the bus refuses us");
    }
}

static int run_service(struct running *run)
{
    sigset_t signals;

    block_signals(&signals);
    struct error *err = start(run);
    if (!err) {
        log_info("ready");
        notify_manager("READY=1");
        err = wait_for_end(run, &signals);
        notify_manager("STOPPING=1");
    }
    /* A second signal, or the alarm, ends a stop that hangs. */
    alarm(DRAIN_LIMIT_S);
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
    stop(run);
    alarm(0);
    int code = err ? 1 : 0;
    log_failure(LOG_LEVEL_ERROR, "ended", err);
    if (code == 0)
        log_info("stopped");
    return code;
}

static int configure_and_run(struct running *run, int argc, char **argv)
{
    bool check_only = take_flag(&argc, argv, "--check-config");
    struct error *err = load_config(run, argc, argv);

    if (err) {
        log_failure(LOG_LEVEL_ERROR, "wrong settings", err);
        return 1;
    }
    return check_only ? 0 : run_service(run);
}

int service_main(const struct service *service, int argc, char **argv)
{
    size_t size = service->config_size > sizeof(struct service_config)
                      ? service->config_size
                      : sizeof(struct service_config);
    struct running run = {.service = service};
    int code = 0;

    service_forbid_core_files();
    log_init(service->name, LOG_LEVEL_INFO);
    run.rows = join_rows(service);
    run.config = xcalloc(1, size);
    if (take_flag(&argc, argv, "--help")) {
        print_help(service, run.rows);
    } else if (take_flag(&argc, argv, "--version")) {
        printf("%s %s\n", service->name, COFFER_VERSION);
    } else {
        code = configure_and_run(&run, argc, argv);
    }
    config_done(run.rows, run.config);
    free(run.config);
    free(run.rows);
    return code;
}
