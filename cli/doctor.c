#include "cli/doctor.h"

#include <getopt.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/output.h"
#include "cli/terminal.h"
#include "cli/verify_key_service.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"

static const char *const state_names[] = {
    [DOCTOR_OK] = "ok", [DOCTOR_WARN] = "warn", [DOCTOR_FAIL] = "fail", [DOCTOR_SKIPPED] = "-"};

static void note(struct doctor *doctor, enum doctor_state state, const char *check,
                 const char *hint, const char *fmt, va_list args) _printf_(5, 0);
static void note(struct doctor *doctor, enum doctor_state state, const char *check,
                 const char *hint, const char *fmt, va_list args)
{
    static const char advice[] = "\n  try: ";
    _cleanup_free_ char *raw = xvasprintf(fmt, args);
    char *own = strstr(raw, advice); /* an error's: it knows better */

    if (own) {
        *own = '\0';
        hint = own + strlen(advice);
    }
    _cleanup_free_ char *text = terminal_text(raw, TERMINAL_LINES);
    _cleanup_free_ char *clean_hint = hint ? terminal_text(hint, TERMINAL_LINES) : NULL;

    json_array_append_new(doctor->checks,
                          json_pack("{s:s, s:s, s:s, s:s*}", "check", check, "state",
                                    state_names[state], "text", text, "hint", clean_hint));
}

void doctor_note(struct doctor *doctor, enum doctor_state state, const char *check,
                 const char *hint, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    note(doctor, state, check, hint, fmt, args);
    va_end(args);
}

void doctor_fail(struct doctor *doctor, enum exit_code code, const char *check, const char *hint,
                 const char *fmt, ...)
{
    va_list args;

    if (doctor->code == EXIT_OK)
        doctor->code = code;
    va_start(args, fmt);
    note(doctor, DOCTOR_FAIL, check, hint, fmt, args);
    va_end(args);
}

/* What is there may be used by nobody else. */
static bool is_private(struct doctor *doctor, const char *path)
{
    struct stat info;

    if (stat(path, &info) < 0 || !(info.st_mode & (S_ISDIR(info.st_mode) ? 022 : 077)))
        return true;
    doctor_fail(doctor, EXIT_FAILED, "files",
                S_ISDIR(info.st_mode) ? "chmod 700 it" : "chmod 600 it, and take a new key",
                "others may use '%s' (mode %03o)", path, info.st_mode & 0777U);
    return false;
}

static void check_files(struct doctor *doctor)
{
    _cleanup_free_ char *root = NULL;
    _cleanup_(json_decrefp) json_t *names = NULL;
    const json_t *name;
    size_t i;
    _cleanup_(error_freep) struct error *err = context_folder(&root);

    err = err ?: context_names(&names);
    if (err) {
        doctor_fail(doctor, EXIT_FAILED, "files", "set HOME", "%s", error_text(err));
        return;
    }
    bool good = is_private(doctor, root);
    json_array_foreach(names, i, name)
    {
        _cleanup_free_ char *folder = NULL;
        error_free(context_path(json_string_value(name), &folder)); /* it may have gone */
        _cleanup_free_ char *key = folder ? xasprintf("%s/api-key", folder) : NULL;
        good = (!folder || (is_private(doctor, folder) && is_private(doctor, key))) && good;
    }
    _cleanup_free_ char *salt_key = xasprintf("%s/salt-key", root);
    good = is_private(doctor, salt_key) && good;
    if (good)
        doctor_note(doctor, DOCTOR_OK, "files", NULL, "%s: %zu context%s, for you only", root,
                    json_array_size(names), json_array_size(names) == 1 ? "" : "s");
}

static void check_context(struct doctor *doctor)
{
    struct context *c = &doctor->context;
    _cleanup_(error_freep) struct error *err = context_load(c);

    if (err)
        doctor_fail(doctor, EXIT_DENIED, "context", "coffer context ls shows those there are", "%s",
                    error_text(err));
    else if (!c->url || !c->key)
        doctor_fail(doctor, EXIT_DENIED, "context", "coffer login --url URL", "no %s is set",
                    c->url ? "API key" : "gateway");
    else
        doctor_note(doctor, DOCTOR_OK, "context", NULL, "%s: %s", c->name ?: "of the environment",
                    c->url);
}

/* Where `coffer verify` keeps what AMD's key service answered. */
static void check_cache(struct doctor *doctor)
{
    _cleanup_free_ char *dir = verify_key_service_cache_dir();
    _cleanup_free_ char *probe = dir ? xasprintf("%s/.doctor", dir) : NULL;
    struct error *err = dir ? dir_make(dir, 0700) : error_new(ERROR_NOT_FOUND, "there is no HOME");

    if (!err)
        err = file_write_atomic(probe, "", 0, 0600);
    if (err)
        doctor_note(doctor, DOCTOR_WARN, "cache",
                    "make it writable, or coffer verify asks the key service each time", "%s",
                    error_text(err));
    else
        doctor_note(doctor, DOCTOR_OK, "cache", NULL, "%s is writable", dir);
    if (probe)
        unlink(probe);
    error_free(err);
}

static void print_table(const struct doctor *doctor)
{
    const json_t *row;
    size_t i;
    bool colours = terminal_has_colours(stdout);
    static const char *const shades[] = {"\x1b[32m", "\x1b[33m", "\x1b[31m", ""};

    json_array_foreach(doctor->checks, i, row)
    {
        const char *state = output_text(row, "state");
        const char *hint = json_string_value(json_object_get(row, "hint"));
        size_t k = 0;
        while (k + 1 < ELEMENTSOF(shades) && strcmp(state_names[k], state) != 0)
            k++;
        printf("%s%-5s%s ", colours ? shades[k] : "", state, colours ? "\x1b[0m" : "");
        terminal_printf("%-8s %s\n", output_text(row, "check"), output_text(row, "text"));
        if (hint)
            terminal_printf("      %-8s try: %s\n", "", hint);
    }
}

static int print(const struct doctor *doctor, bool json)
{
    if (!json) {
        print_table(doctor);
        return doctor->code;
    }
    json_auto_t *answer = json_pack("{s:b, s:i, s:O}", "ok", doctor->code == EXIT_OK, "exitCode",
                                    (int)doctor->code, "checks", doctor->checks);
    output_json(answer);
    return doctor->code;
}

int doctor_main(int argc, char **argv)
{
    static const struct option options[] = {
        {"offline", no_argument, NULL, 'o'}, {"json", no_argument, NULL, 'j'}, {NULL, 0, NULL, 0}};
    struct doctor doctor = {0};
    bool offline = false;
    bool json = false;

    optind = 1;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == '?')
            return EXIT_USAGE;
        *(c == 'o' ? &offline : &json) = true;
    }
    if (optind != argc)
        return command_usage("doctor takes no operands");
    doctor.checks = json_array();
    check_files(&doctor);
    check_context(&doctor);
    check_cache(&doctor);
    if (doctor.context.url && !offline)
        doctor_ask_server(&doctor);
    int code = print(&doctor, json);
    json_decref(doctor.checks);
    context_done(&doctor.context);
    return code;
}
