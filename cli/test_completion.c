/* Completion: the scripts run in their shells, and the names that come from the gateway. */
#include "cli/command.h"
#include "cli/completion.h"
#include "cli/test_gateway.h"
#include "shared/base/file.h"

static struct test_gateway gateway;

static void write_script(const char *shell, const char *name)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", gateway.dir, name);
    FILE *out = fopen(path, "w");

    assert_non_null(out);
    assert_true(completion_print(shell, out));
    fclose(out);
}

static bool have(const char *program)
{
    _cleanup_free_ char *command = xasprintf("command -v %s >/dev/null 2>&1", program);

    return system(command) == 0;
}

/* stdout of a command of the shell; caller frees. */
static char *output_of(const char *command)
{
    FILE *in = popen(command, "r");
    char *text = xnew_array(char, 65536);

    assert_non_null(in);
    size_t n = fread(text, 1, 65535, in);
    text[n] = '\0';
    pclose(in);
    return text;
}

/* Asks the script as bash does: words, the last one is under the cursor. */
static char *ask_bash(const char *words)
{
    _cleanup_free_ char *command =
        xasprintf("cd '%s' && PATH=\"%s/bin:$PATH\" bash --norc -c '"
                  "source ./script.bash; COMP_WORDS=(coffer %s); "
                  "COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _coffer; printf \"%%s|\" "
                  "\"${COMPREPLY[@]}\"' 2>&1",
                  gateway.dir, gateway.dir, words);

    return output_of(command);
}

static void test_bash_offers_what_fits(_unused_ void **state)
{
    static const struct {
        const char *words;
        const char *offered;
    } rows[] = {
        {"depl", "deploy|"},
        {"\"\"", NULL}, /* all; looked at below */
        {"keys cr", "create|"},
        {"help dom", "domains|"},
        {"keys create --sc", "--scope|"},
        {"keys create --scope \"\"", "read|deploy|admin|"},
        {"keys create --scope d", "deploy|"},
        {"keys create --scope = d", "deploy|"}, /* bash makes three words of --scope=d */
        {"ls -o w", "wide|"},
        {"ls --output j", "json|"},
        {"--context work ls --no-h", "--no-headers|"},
        {"--context \"\"", "asked-for-contexts|"},
        {"show \"\"", "asked-for-workloads|"},
        {"show as", "asked-for-workloads|"},
        {"show x", "|"},
        {"logs -f -c web \"\"", "asked-for-workloads|"},
        {"context use \"\"", "asked-for-contexts|"},
        {"images enable \"\"", "asked-for-images|"},
        {"hosts show \"\"", "asked-for-hosts|"},
        {"completion \"\"", "bash|zsh|fish|"},
        {"report show --product G", "Genoa|"},
        {"verify --nonce \"\"", "|"}, /* auto|HEX is no list of words */
        {"members rm \"\"", "asked-for-members|"},
        {"webhooks test \"\"", "asked-for-webhooks|"},
        {"measure fi", "file with space|"},
        {"fleet init fo", "folder|"},
        {"deploy --env-file fi", "file with space|"},
        {"nonsense \"\"", "|"},
    };

    if (!have("bash")) {
        print_message("bash is not here: skipped\n");
        skip();
    }
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_free_ char *offered = ask_bash(rows[i].words);
        if (rows[i].offered && strcmp(offered, rows[i].offered) != 0)
            fail_msg("%s: %s", rows[i].words, offered);
        for (size_t k = 0; !rows[i].offered && k < n_commands; k++)
            if (!strstr(offered, commands[k].group ?: commands[k].name))
                fail_msg("%s is not in %s", commands[k].name, offered);
    }
}

/* What the gateway calls things is never run by the shell. */
static void test_names_are_not_evaluated(_unused_ void **state)
{
    _cleanup_free_ char *trap = xasprintf("%s/trap", gateway.dir);
    _cleanup_free_ char *evil =
        xasprintf("#!/bin/sh\necho '$(touch %s)'\necho '`touch %s`'\n", trap, trap);
    _cleanup_free_ char *path = xasprintf("%s/bin/coffer", gateway.dir);
    _cleanup_buffer_ struct buffer before = {0};

    if (!have("bash"))
        skip();
    assert_null(file_read(path, 4096, &before));
    assert_null(file_write_atomic(path, evil, strlen(evil), 0755));
    _cleanup_free_ char *offered = ask_bash("show \"\"");
    assert_null(file_write_atomic(path, before.data, before.size, 0755));
    assert_non_null(strstr(offered, "$(touch"));
    assert_int_equal(access(trap, F_OK), -1);
}

static void check_syntax(const char *shell, const char *script)
{
    _cleanup_free_ char *command = xasprintf("%s -n '%s/%s'", shell, gateway.dir, script);

    if (!have(shell))
        print_message("%s is not here: its script is not checked\n", shell);
    else if (system(command) != 0)
        fail_msg("%s", command);
}

static void test_scripts_are_good_shell(_unused_ void **state)
{
    check_syntax("bash", "script.bash");
    check_syntax("zsh", "script.zsh");
    check_syntax("fish", "script.fish");
}

/* Completion in zsh needs a terminal; what it asks does not. */
static void test_zsh_finds_words(_unused_ void **state)
{
    static const struct {
        const char *call;
        const char *words;
    } rows[] = {
        {"_coffer_find --context x keys create --name", "keys create\n"},
        {"_coffer_find show web", "show\n"},
        {"_coffer_words \"\" --scope \"keys create\"", "read\ndeploy\nadmin\n"},
        {"_coffer_words \"\" show show", "asked-for-workloads\n"},
        {"_coffer_words \"\" measure measure", "@files\n"},
    };

    if (!have("zsh")) {
        print_message("zsh is not here: skipped\n");
        skip();
    }
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_free_ char *command = xasprintf("cd '%s' && PATH=\"%s/bin:$PATH\" zsh -f -c "
                                                 "'compdef() { :; }; source ./script.zsh; %s' 2>&1",
                                                 gateway.dir, gateway.dir, rows[i].call);
        _cleanup_free_ char *words = output_of(command);
        if (strcmp(words, rows[i].words) != 0)
            fail_msg("%s: %s", rows[i].call, words);
    }
}

static void test_fish_offers_what_fits(_unused_ void **state)
{
    static const struct {
        const char *line;
        const char *offered;
    } rows[] = {
        {"coffer depl", "deploy"},
        {"coffer keys cr", "create"},
        {"coffer keys create --sc", "--scope"},
        {"coffer ls -o w", "wide"},
        {"coffer --context x ls --no-h", "--no-headers"},
        {"coffer show as", "asked-for-workloads"},
    };

    if (!have("fish")) {
        print_message("fish is not here: skipped\n");
        skip();
    }
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_free_ char *command = xasprintf(
            "cd '%s' && PATH=\"%s/bin:$PATH\" fish -c 'source script.fish; complete -C \"%s\"' "
            "2>&1 | cut -f1",
            gateway.dir, gateway.dir, rows[i].line);
        _cleanup_free_ char *offered = output_of(command);
        _cleanup_free_ char *expected = xasprintf("%s\n", rows[i].offered);
        if (strcmp(offered, expected) != 0)
            fail_msg("%s: %s", rows[i].line, offered);
    }
}

static void test_names_come_from_the_gateway(_unused_ void **state)
{
    static const struct test_answer answers[] = {
        {"GET", "/api/v1/workloads/list", 200,
         "[{\"workloadId\":\"w-1\",\"name\":\"web\"},{\"workloadId\":\"w-2\",\"name\":\"a b\"},"
         "{\"workloadId\":\"w-3\",\"name\":\"$(reboot)\"},{\"workloadId\":\"w-4\",\"name\":\"-x\"},"
         "{\"workloadId\":\"w-5\",\"name\":\"a\\nb\"},{\"name\":7}]",
         NULL, NULL, 0},
        {"GET", "/api/v1/members/account/acc-1", 200, "[{\"memberId\":\"m-1\"}]", NULL, NULL, 0},
        {"GET", "/api/v1/webhooks/list", 200, "[{\"webhookId\":\"h-1\"}]", NULL, NULL, 0},
        {"GET", "/api/v1/artifacts/list", 200, "[{\"version\":\"1.2.0\"}]", NULL, NULL, 0},
        {"GET", "/api/v1/workload-tiers/list", 503, "{}", "Retry-After", "60", 0},
        {"GET", "/api/v1/accounts/me", 200, "{\"accountId\":\"acc-1\"}", NULL, NULL, 0},
        {"GET", "/api/v1/api-keys/account/acc-1", 200, "[{\"id\":\"k-1\"}]", NULL, NULL, 0},
        {0}};
    static const struct {
        const char *arguments[4];
        int code;
        const char *output;
    } rows[] = {
        {{"__complete", "workloads"}, EXIT_OK, "web\nw-1\nw-2\nw-3\nw-4\nw-5\n"},
        {{"__complete", "images"}, EXIT_OK, "1.2.0\n"},
        {{"__complete", "keys"}, EXIT_OK, "k-1\n"},
        {{"__complete", "members"}, EXIT_OK, "m-1\n"},
        {{"__complete", "webhooks"}, EXIT_OK, "h-1\n"},
        {{"__complete", "contexts"}, EXIT_OK, ""},
        {{"__complete", "tiers"}, EXIT_FAILED, ""},
        {{"__complete", "hosts"}, EXIT_FAILED, ""}, /* there is no operator's key */
        {{"__complete", "nonsense"}, EXIT_OK, ""},
        {{"__complete"}, EXIT_OK, ""},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_free_ char *output = NULL;
        _cleanup_free_ char *errors = NULL;
        test_gateway_answer(&gateway, answers);
        int code = test_gateway_run(&gateway, rows[i].arguments, &output, &errors);
        if (code != rows[i].code || strcmp(output, rows[i].output) != 0 || errors[0])
            fail_msg("row %zu: exit %d: %s%s", i, code, output, errors);
    }
}

static int setup(_unused_ void **state)
{
    static const char asked[] = "#!/bin/sh\n[ \"$1\" = __complete ] && echo \"asked-for-$2\"\n";

    test_gateway_start(&gateway);
    _cleanup_free_ char *command =
        xasprintf("cd '%s' && mkdir bin folder && touch 'file with space'", gateway.dir);
    _cleanup_free_ char *program = xasprintf("%s/bin/coffer", gateway.dir);
    if (system(command) != 0)
        return -1;
    assert_null(file_write_atomic(program, asked, strlen(asked), 0755));
    write_script("bash", "script.bash");
    write_script("zsh", "script.zsh");
    write_script("fish", "script.fish");
    return 0;
}

static int teardown(_unused_ void **state)
{
    test_gateway_stop(&gateway);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bash_offers_what_fits),
        cmocka_unit_test(test_names_are_not_evaluated),
        cmocka_unit_test(test_scripts_are_good_shell),
        cmocka_unit_test(test_zsh_finds_words),
        cmocka_unit_test(test_fish_offers_what_fits),
        cmocka_unit_test(test_names_come_from_the_gateway),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
