/*
 * A plain NATS client for the end-to-end tests: it shares no code with ours. It prints messages
 * as "subject TAB hex of the body": those of a stream that match a subject, oldest first, until
 * the stream is quiet; or, after a line "ready" and with "TAB Coffer-Type", what is published from
 * then on until stdin ends. Or it publishes one body from stdin.
 *
 *     coffer-e2e-tap URL CREDS read SUBJECT QUIET_MS
 *     coffer-e2e-tap URL CREDS listen SUBJECT...
 *     coffer-e2e-tap URL CREDS publish SUBJECT
 *
 * CREDS "none": the server asks for no credentials.
 */
#include <nats/nats.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(const char *what, natsStatus s)
{
    fprintf(stderr, "%s: %s\n", what, natsStatus_GetText(s));
    return 1;
}

static void print_message(const natsMsg *msg)
{
    const unsigned char *data = (const unsigned char *)natsMsg_GetData(msg);

    printf("%s\t", natsMsg_GetSubject(msg));
    for (int i = 0; i < natsMsg_GetDataLength(msg); i++)
        printf("%02x", data[i]);
}

static int read_all(natsConnection *nc, const char *subject, int quiet_ms)
{
    jsCtx *js = NULL;
    natsSubscription *sub = NULL;
    jsSubOptions options;
    natsMsg *msg = NULL;
    natsStatus s = natsConnection_JetStream(&js, nc, NULL);

    jsSubOptions_Init(&options);
    options.Ordered = true;
    options.Config.DeliverPolicy = js_DeliverAll;
    if (s == NATS_OK)
        s = js_SubscribeSync(&sub, js, subject, NULL, &options, NULL);
    if (s != NATS_OK)
        return fail("subscribe", s);
    while ((s = natsSubscription_NextMsg(&msg, sub, quiet_ms)) == NATS_OK) {
        print_message(msg);
        putchar('\n');
        natsMsg_Destroy(msg);
    }
    natsSubscription_Destroy(sub);
    jsCtx_Destroy(js);
    return s == NATS_TIMEOUT ? 0 : fail("read", s);
}

static void on_message(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *data)
{
    const char *type = "";

    (void)nc;
    (void)sub;
    (void)data;
    if (natsMsgHeader_Get(msg, "Coffer-Type", &type) != NATS_OK)
        type = "";
    flockfile(stdout); /* each subscription has a thread */
    print_message(msg);
    printf("\t%s\n", type);
    fflush(stdout);
    funlockfile(stdout);
    natsMsg_Destroy(msg);
}

static int listen_to(natsConnection *nc, char **subjects, int n)
{
    natsSubscription *subs[8] = {NULL};
    natsStatus s = n <= 8 ? NATS_OK : NATS_INVALID_ARG;

    for (int i = 0; s == NATS_OK && i < n; i++)
        s = natsConnection_Subscribe(&subs[i], nc, subjects[i], on_message, NULL);
    if (s == NATS_OK)
        s = natsConnection_FlushTimeout(nc, 5000);
    if (s == NATS_OK) {
        puts("ready");
        fflush(stdout);
        while (getchar() != EOF)
            continue;
    }
    for (int i = 0; i < 8; i++)
        natsSubscription_Destroy(subs[i]);
    return s == NATS_OK ? 0 : fail("listen", s);
}

static int publish(natsConnection *nc, const char *subject)
{
    static char body[1024 * 1024];
    size_t n = fread(body, 1, sizeof(body), stdin);
    natsStatus s = natsConnection_Publish(nc, subject, body, (int)n);

    if (s == NATS_OK)
        s = natsConnection_FlushTimeout(nc, 5000);
    if (s != NATS_OK)
        return fail("publish", s);
    /* A refused publish is told asynchronously. */
    nats_Sleep(300);
    const char *problem = NULL;
    if (natsConnection_GetLastError(nc, &problem) != NATS_OK) {
        fprintf(stderr, "publish: %s\n", problem ? problem : "refused");
        return 2;
    }
    return 0;
}

int main(int argc, char **argv)
{
    natsOptions *options = NULL;
    natsConnection *nc = NULL;
    int code = 64;

    if (argc < 5)
        return code;
    natsStatus s = natsOptions_Create(&options);
    if (s == NATS_OK)
        s = natsOptions_SetURL(options, argv[1]);
    if (s == NATS_OK && strcmp(argv[2], "none") != 0)
        s = natsOptions_SetUserCredentialsFromFiles(options, argv[2], NULL);
    /* nats.c cannot send a signature that begins with a zero byte: one connection in 256. */
    for (int i = 0; s == NATS_OK && i < 5 && !nc; i++) {
        natsStatus connected = natsConnection_Connect(&nc, options);
        if (i == 4)
            s = connected;
    }
    if (s != NATS_OK)
        return fail("connect", s);
    if (strcmp(argv[3], "read") == 0 && argc == 6)
        code = read_all(nc, argv[4], atoi(argv[5]));
    else if (strcmp(argv[3], "listen") == 0)
        code = listen_to(nc, argv + 4, argc - 4);
    else if (strcmp(argv[3], "publish") == 0)
        code = publish(nc, argv[4]);
    natsConnection_Destroy(nc);
    natsOptions_Destroy(options);
    nats_Close();
    return code;
}
