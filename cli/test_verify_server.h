/* An HTTPS server that plays the attester behind its proxy, honest or not. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "shared/attestation/binding.h"
#include "shared/attestation/test_fleet.h"
#include "shared/base/buffer.h"

struct ssl_ctx_st;

struct verify_server {
    /* What it does; set before a request. */
    const char *name;             /* in its certificate */
    bool other_key;               /* evidence for another TLS key */
    bool old_nonce;               /* evidence for a nonce of before */
    bool no_nonce;                /* the static form */
    bool expired;                 /* its certificate */
    bool no_crl;                  /* in the answer */
    bool batch;                   /* our nonce among others */
    const char *shown_manifest;   /* instead of manifest */
    const char *raw;              /* a whole HTTP response instead */
    const struct buffer *devices; /* evidence of each */
    size_t n_devices;
    bool huge;
    const char *cpu_model;
    struct processor_guest guest;
    const char *manifest;

    struct processor *processor;
    int listener;
    uint16_t port;
    pthread_t thread;
    atomic_uint asked;
    struct ssl_ctx_st *tls;
    uint8_t spki_sha256[32];
};

/* Writes its (self-signed) certificate to ca_path. */
void verify_server_start(struct verify_server *server, const char *ca_path);
/* What it answers to this nonce; caller frees. */
char *verify_server_body(struct verify_server *server, const uint8_t nonce[32]);
void verify_server_stop(struct verify_server *server);
