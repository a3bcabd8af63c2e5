/*
 * A release authority that lies, for the end-to-end tests: in the scheduler's place, with its bus
 * credentials, it answers the challenge and the attestation of one guest.
 *
 *     coffer-e2e-liar URL CREDS HOST WORKLOAD sign KEYFILE BOOT_NUMBER NAME=VALUE...
 *     coffer-e2e-liar URL CREDS HOST WORKLOAD replay
 *
 * sign: a bundle with these environment values, as it must be in everything (schemas/boot.proto)
 * but perhaps the key: that of KEYFILE, or with "-" one made now. replay: the ChallengeReply and
 * the AttestReply of another boot, each a line of hex on stdin.
 *
 * Prints "ready", and "challenge" and "attest" when it answers one; ends when stdin does.
 */
#include <inttypes.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/boot.pb-c.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/bus/bus.h"
#include "shared/bus/subject.h"
#include "shared/seal/seal.h"

#define TAG    "coffer/bundle/v1"
#define DOMAIN "liar.coffer.test"

struct liar {
    const char *workload_id;
    bool replays;
    struct buffer challenge; /* what is replayed */
    struct buffer attest;
    struct sign_key key;
    uint64_t boot_number;
    char **values; /* "NAME=VALUE", of main()'s arguments */
    size_t n_values;
};

/* A recorded message as the answer. */
static struct error *replay(const struct buffer *recorded, struct bus_call *call)
{
    const ProtobufCMessageDescriptor *type = ((ProtobufCMessage *)call->out)->descriptor;
    void *message;
    struct error *err = bus_unpack(type, recorded->data, recorded->size, call->arena, &message);

    if (!err)
        memcpy(call->out, message, type->sizeof_message);
    return err;
}

static void say(const char *word)
{
    puts(word);
    fflush(stdout);
}

static struct error *on_challenge(void *state, struct bus_call *call)
{
    const struct liar *liar = state;
    Coffer__V1__ChallengeReply *reply = call->out;

    say("challenge");
    if (liar->replays)
        return replay(&liar->challenge, call);
    reply->boot_number = liar->boot_number;
    reply->nonce = (ProtobufCBinaryData){32, arena_alloc(call->arena, 32)};
    return RAND_bytes(reply->nonce.data, 32) == 1 ? NULL : error_openssl("make a nonce");
}

static Coffer__V1__Secrets *make_secrets(const struct liar *liar, struct arena *arena)
{
    Coffer__V1__Secrets *secrets = arena_alloc(arena, sizeof(*secrets));

    coffer__v1__secrets__init(secrets);
    secrets->environment = arena_alloc(arena, (liar->n_values + 1) * sizeof(void *));
    for (size_t i = 0; i < liar->n_values; i++) {
        Coffer__V1__EnvironmentVariable *variable = arena_alloc(arena, sizeof(*variable));
        coffer__v1__environment_variable__init(variable);
        variable->name = arena_strdup(arena, liar->values[i]);
        variable->value = variable->name + strcspn(variable->name, "=");
        if (variable->value[0])
            *variable->value++ = '\0';
        secrets->environment[secrets->n_environment++] = variable;
    }
    return secrets;
}

static struct error *seal_bundle(const struct liar *liar, const Coffer__V1__AttestRequest *request,
                                 struct arena *arena, struct buffer *ret_box)
{
    Coffer__V1__Bundle bundle = COFFER__V1__BUNDLE__INIT;
    _cleanup_free_ char *context = xasprintf("%s %s", TAG, liar->workload_id);

    bundle.domain = arena_strdup(arena, DOMAIN);
    bundle.boot_number = request->boot_number;
    bundle.secrets = make_secrets(liar, arena);
    size_t size = coffer__v1__bundle__get_packed_size(&bundle);
    uint8_t *plain = arena_alloc(arena, size);
    coffer__v1__bundle__pack(&bundle, plain);
    return seal_to(request->box_public.data, context, plain, size, ret_box);
}

static void signed_bytes(const struct liar *liar, const Coffer__V1__AttestRequest *request,
                         const struct buffer *box, struct buffer *ret_bytes)
{
    uint8_t digest[SHA256_SIZE];

    sha256(box->data, box->size, digest);
    buffer_add(ret_bytes, TAG, sizeof(TAG)); /* with its 0x00 */
    buffer_add_lp(ret_bytes, liar->workload_id, strlen(liar->workload_id));
    buffer_add_u32be(ret_bytes, 8);
    buffer_add_u64be(ret_bytes, request->boot_number);
    buffer_add_lp(ret_bytes, DOMAIN, strlen(DOMAIN));
    buffer_add_lp(ret_bytes, request->box_public.data, request->box_public.len);
    buffer_add_lp(ret_bytes, request->sign_public.data, request->sign_public.len);
    buffer_add_lp(ret_bytes, request->nonce.data, request->nonce.len);
    buffer_add_lp(ret_bytes, digest, sizeof(digest));
}

static ProtobufCBinaryData copy(struct arena *arena, const void *data, size_t size)
{
    ProtobufCBinaryData copied = {size, arena_alloc(arena, size)};

    memcpy(copied.data, data, size);
    return copied;
}

static struct error *on_attest(void *state, struct bus_call *call)
{
    const struct liar *liar = state;
    const Coffer__V1__AttestRequest *request = call->in;
    Coffer__V1__AttestReply *reply = call->out;
    _cleanup_buffer_ struct buffer box = {0};
    _cleanup_buffer_ struct buffer bytes = {0};
    uint8_t signature[SIGN_SIZE];

    say("attest");
    if (liar->replays)
        return replay(&liar->attest, call);
    if (request->box_public.len != SEAL_KEY_SIZE)
        return error_new(ERROR_INVALID_ARGUMENT, "a box key has 32 bytes");
    struct error *err = seal_bundle(liar, request, call->arena, &box);
    if (err)
        return err;
    signed_bytes(liar, request, &box, &bytes);
    err = sign_bytes(&liar->key, bytes.data, bytes.size, signature);
    if (err)
        return err;
    reply->sealed_bundle = copy(call->arena, box.data, box.size);
    reply->signature = copy(call->arena, signature, sizeof(signature));
    reply->domain = arena_strdup(call->arena, DOMAIN);
    return NULL;
}

static struct error *answer(struct bus *bus, struct liar *liar, const char *host, const char *step,
                            const struct bus_handler *row, struct bus_subscription **ret_answered)
{
    char subject[SUBJECT_MAX];
    struct error *err = subject_build(subject, "boot", host, liar->workload_id, step, NULL);

    return err ?: bus_subscribe(bus, row, subject, liar, ret_answered);
}

static void wait_for_end_of_input(void)
{
    while (getchar() != EOF)
        continue;
}

static struct error *serve(struct liar *liar, const char *url, const char *creds, const char *host)
{
    static const struct bus_handler rows[] = {
        {"boot.*.*.challenge", &coffer__v1__challenge_request__descriptor,
         &coffer__v1__challenge_reply__descriptor, on_challenge, NULL},
        {"boot.*.*.attest", &coffer__v1__attest_request__descriptor,
         &coffer__v1__attest_reply__descriptor, on_attest, NULL},
    };
    const struct bus_options options = {
        .url = url, .credentials = creds, .name = "liar", .inbox_prefix = "_INBOX.scheduler"};
    _cleanup_(bus_freep) struct bus *bus = NULL;
    _cleanup_(bus_unsubscribep) struct bus_subscription *challenges = NULL;
    _cleanup_(bus_unsubscribep) struct bus_subscription *attestations = NULL;
    struct error *err = bus_connect(&options, false, &bus);

    err = err ?: answer(bus, liar, host, "challenge", &rows[0], &challenges);
    err = err ?: answer(bus, liar, host, "attest", &rows[1], &attestations);
    if (err)
        return err;
    say("ready");
    wait_for_end_of_input();
    return NULL;
}

static struct error *read_hex_line(struct buffer *ret_bytes)
{
    _cleanup_free_ char *line = NULL;
    size_t room = 0;
    ssize_t length = getline(&line, &room, stdin);

    if (length < 2)
        return error_new(ERROR_INVALID_ARGUMENT, "stdin has no line of hex");
    line[length - 1] = '\0';
    size_t size = (size_t)(length - 1) / 2;
    _cleanup_free_ uint8_t *bytes = xcalloc(1, size);
    struct error *err = hex_decode(line, bytes, size);
    if (!err)
        buffer_add(ret_bytes, bytes, size);
    return err;
}

/* The arguments from the mode on. */
static struct error *prepare(struct liar *liar, int n, char **arguments)
{
    liar->replays = n == 1 && strcmp(arguments[0], "replay") == 0;
    if (liar->replays) {
        struct error *err = read_hex_line(&liar->challenge);
        return err ?: read_hex_line(&liar->attest);
    }
    if (n < 3 || strcmp(arguments[0], "sign") != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "neither 'sign' nor 'replay'");
    liar->boot_number = strtoull(arguments[2], NULL, 10);
    liar->values = arguments + 3;
    liar->n_values = (size_t)n - 3;
    return strcmp(arguments[1], "-") == 0 ? sign_key_generate(&liar->key)
                                          : sign_key_load(arguments[1], &liar->key);
}

int main(int argc, char **argv)
{
    struct liar liar = {0};
    struct error *err;

    if (argc < 6)
        return 64;
    liar.workload_id = argv[4];
    err = prepare(&liar, argc - 5, argv + 5);
    err = err ?: serve(&liar, argv[1], argv[2], argv[3]);
    sign_key_done(&liar.key);
    buffer_done(&liar.challenge);
    buffer_done(&liar.attest);
    if (!err)
        return 0;
    fprintf(stderr, "%s\n", error_text(err));
    error_free(err);
    return 1;
}
