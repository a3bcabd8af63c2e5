#include "shared/collateral/collateral.h"

#include <pthread.h>

#include "shared/attestation/certificates.h"
#include "shared/base/alloc.h"
#include "shared/collateral/cache.h"
#include "shared/collateral/check.h"
#include "shared/collateral/fetch.h"
#include "shared/collateral/flight.h"

#define PRODUCTS (SNP_PRODUCT_TURIN + 1)
#define KINDS    (VEK_VLEK + 1)

struct collateral_client {
    struct cache *cache;
    struct fetcher *fetcher; /* NULL: offline */
    struct flights *flights;
    const struct trust_roots *roots;
    struct clock *clock;
    int64_t at_ms; /* 0: the clock's */
    int64_t crl_max_age_ms;
    pthread_mutex_t lock;                             /* of newest */
    struct check_crl_version newest[PRODUCTS][KINDS]; /* CRL seen by this client */
};

struct error *collateral_client_new(const struct collateral_options *options,
                                    struct collateral_client **ret_client)
{
    _cleanup_(collateral_client_freep) struct collateral_client *client =
        xnew(struct collateral_client);
    const struct fetcher_options fetcher = {
        .base_url = options->base_url,
        .ca_file = options->ca_file,
        .allow_http = options->allow_http,
        .clock = options->clock,
        .timeout_ms = options->timeout_ms,
        .pause = options->pause,
        .data = options->data,
    };

    pthread_mutex_init(&client->lock, NULL);
    for (size_t i = 0; i < PRODUCTS * KINDS; i++)
        client->newest[i / KINDS][i % KINDS].number = -1; /* any CRL is newer */
    client->roots = options->roots;
    client->clock = options->clock;
    client->at_ms = options->at_ms;
    client->crl_max_age_ms = options->crl_max_age_ms ?: COLLATERAL_CRL_MAX_AGE_MS;
    client->flights = flights_new();
    if (options->base_url)
        client->fetcher = fetcher_new(&fetcher);
    struct error *err =
        cache_open(options->dir, options->max_chips ?: COLLATERAL_CHIPS_MAX, &client->cache);
    if (!err)
        *ret_client = TAKE_PTR(client);
    return err;
}

void collateral_client_free(struct collateral_client *client)
{
    if (!client)
        return;
    cache_free(client->cache);
    fetcher_free(client->fetcher);
    flights_free(client->flights);
    pthread_mutex_destroy(&client->lock);
    free(client);
}

void collateral_done(struct collateral *collateral)
{
    buffer_done(&collateral->vcek);
    buffer_done(&collateral->ask);
    buffer_done(&collateral->ark);
    buffer_done(&collateral->crl);
    free(collateral->crl_note);
    free(collateral->vcek_note);
    *collateral = (struct collateral){};
}

/* One object that is wanted, and what decides if bytes are it. */
struct want {
    struct collateral_client *client;
    enum vek_kind kind;
    enum snp_product product;
    const struct kds_chip *chip;     /* of a VCEK */
    const struct check_chain *chain; /* NULL while the chain itself is wanted */
    char path[KDS_PATH_MAX];
    bool kept;
    size_t max;
    int64_t max_age_ms; /* asked for again when older; 0: never */
    int64_t until_ms;   /* with max_age_ms: the next update of what was checked last */
    struct error *(*check)(void *want, const void *body, size_t size);
};

/* When certificates must be in date. Ages are told by the clock alone. */
static int64_t judged_ms(const struct collateral_client *client)
{
    return client->at_ms ? client->at_ms : clock_wall_ms(client->clock);
}

static struct error *check_chain_item(void *data, const void *body, size_t size)
{
    const struct want *want = data;
    _cleanup_(check_chain_done) struct check_chain chain = {};

    return check_chain_parse(want->client->roots, want->product, want->kind,
                             judged_ms(want->client), body, size, &chain);
}

static struct error *check_vcek_item(void *data, const void *body, size_t size)
{
    const struct want *want = data;

    return check_vcek(want->chain, want->chip, judged_ms(want->client), body, size);
}

/* Also keeps the newest version in mind: neither service nor disk may go back behind it. */
static struct error *check_crl_item(void *data, const void *body, size_t size)
{
    struct want *want = data;
    struct collateral_client *client = want->client;
    struct check_crl_version version;
    struct check_crl_version *newest = &client->newest[want->product][want->kind];

    struct error *err = check_crl(want->chain, body, size, &version);
    if (err)
        return err;
    pthread_mutex_lock(&client->lock);
    if (check_crl_is_older(&version, newest))
        err = error_new(ERROR_PERMISSION_DENIED, "the CRL is older than one seen before");
    else
        *newest = version;
    pthread_mutex_unlock(&client->lock);
    want->until_ms = version.next_update_ms;
    return err;
}

/* By its own dates: the time of fetching is the disk's word. */
static bool is_due(const struct want *want)
{
    return want->max_age_ms > 0 && want->until_ms <= clock_wall_ms(want->client->clock);
}

static bool is_fresh(const struct want *want, const struct item *item)
{
    int64_t age = clock_wall_ms(want->client->clock) - item->fetched_at_ms;

    return want->max_age_ms == 0 || (age >= 0 && age < want->max_age_ms && !is_due(want));
}

/* The service has no newer one: it is not asked again at once. */
static void note_due(const struct want *want, struct item *item)
{
    fetcher_refuse(want->client->fetcher, want->path);
    item->stale = true;
    if (!item->note)
        item->note = xstrdup("key service: the list there is past its next update");
}

/* From the service, checked, and kept as far as the disk allows. */
static struct error *fetch(struct want *want, const struct cache_key *key, struct item *ret_item)
{
    const struct cache_check check = {want->check, want};
    struct collateral_client *client = want->client;
    _cleanup_(item_done) struct item item = {.fetched_at_ms = clock_wall_ms(client->clock)};

    if (!client->fetcher)
        return error_new(ERROR_NOT_FOUND, "'%s': offline", want->path);
    struct error *err = fetcher_get(client->fetcher, want->path, want->max, &item.body);
    if (!err) {
        err = want->check(want, item.body.data, item.body.size);
        if (err)
            fetcher_refuse(client->fetcher, want->path);
    }
    if (err)
        return error_wrap(err, "key service");
    err = cache_write(client->cache, key, &check, &item);
    if (err)
        item.note = xstrdup(error_text(err));
    error_free(err);
    if (is_due(want))
        note_due(want, &item);
    *ret_item = item;
    item = (struct item){};
    return NULL;
}

/* The cache first; a stale one rather than none. */
static struct error *load(void *data, struct item *ret_item)
{
    struct want *want = data;
    const struct cache_key key = {want->path, want->kept};
    const struct cache_check check = {want->check, want};
    _cleanup_(item_done) struct item old = {};

    struct error *missing = cache_read(want->client->cache, &key, &check, &old);
    old.cached = true;
    if (!missing && is_fresh(want, &old)) {
        *ret_item = old;
        old = (struct item){};
        return NULL;
    }
    struct error *err = fetch(want, &key, ret_item);
    if (err && missing && error_get_code(missing) != ERROR_NOT_FOUND)
        err = error_wrap(err, "%s", error_text(missing));
    if (err && !missing) {
        old.stale = true;
        old.note = xstrdup(error_text(err));
        error_free(TAKE_PTR(err));
        *ret_item = old;
        old = (struct item){};
    }
    error_free(missing);
    return err;
}

static struct error *get(struct want *want, struct item *ret_item)
{
    return flights_do(want->client->flights, want->path, load, want, ret_item);
}

static struct collateral_origin origin_of(const struct item *item)
{
    return (struct collateral_origin){.at_ms = item->fetched_at_ms, .cached = item->cached};
}

static struct error *get_chain(struct collateral_client *client, enum vek_kind kind,
                               enum snp_product product, struct check_chain *ret_chain,
                               struct collateral_origin *ret_origin)
{
    struct want want = {.client = client,
                        .kind = kind,
                        .product = product,
                        .kept = true,
                        .max = 2 * CERTIFICATE_SIZE_MAX,
                        .check = check_chain_item};
    _cleanup_(item_done) struct item item = {};

    kds_path_chain(product, kind, want.path);
    struct error *err = get(&want, &item);
    if (err)
        return err;
    *ret_origin = origin_of(&item);
    return check_chain_parse(client->roots, product, kind, judged_ms(client), item.body.data,
                             item.body.size, ret_chain);
}

static struct error *get_vcek(struct collateral_client *client, const struct kds_chip *chip,
                              const struct check_chain *chain, struct collateral *collateral)
{
    struct want want = {.client = client,
                        .kind = VEK_VCEK,
                        .product = chip->product,
                        .chip = chip,
                        .chain = chain,
                        .max = CERTIFICATE_SIZE_MAX,
                        .check = check_vcek_item};
    _cleanup_(item_done) struct item item = {};

    kds_path_vcek(chip, want.path);
    struct error *err = get(&want, &item);
    if (err)
        return err;
    buffer_add(&collateral->vcek, item.body.data, item.body.size);
    collateral->vcek_origin = origin_of(&item);
    return NULL;
}

static void get_crl(struct collateral_client *client, enum vek_kind kind, enum snp_product product,
                    const struct check_chain *chain, struct collateral *collateral)
{
    struct want want = {.client = client,
                        .kind = kind,
                        .product = product,
                        .chain = chain,
                        .kept = true,
                        .max = CERTIFICATE_SIZE_MAX,
                        .max_age_ms = client->crl_max_age_ms,
                        .check = check_crl_item};
    _cleanup_(item_done) struct item item = {};

    kds_path_crl(product, kind, want.path);
    struct error *err = get(&want, &item);
    if (err) {
        collateral->crl_note = xstrdup(error_text(err));
        error_free(err);
        return;
    }
    buffer_add(&collateral->crl, item.body.data, item.body.size);
    collateral->crl_origin = origin_of(&item);
    collateral->crl_stale = item.stale;
    collateral->crl_note = TAKE_PTR(item.note);
}

static struct error *add_der(X509 *certificate, struct buffer *ret_der)
{
    uint8_t *der = NULL;
    int size = i2d_X509(certificate, &der);

    if (size <= 0)
        return error_openssl("write a certificate");
    buffer_add(ret_der, der, (size_t)size);
    OPENSSL_free(der);
    return NULL;
}

/* *ret_no_vcek: why there is none although one was wanted. */
static struct error *get_some(struct collateral_client *client, enum vek_kind kind,
                              enum snp_product product, const struct kds_chip *chip,
                              struct error **ret_no_vcek, struct collateral *ret_collateral)
{
    _cleanup_(check_chain_done) struct check_chain chain = {};
    _cleanup_(collateral_done) struct collateral collateral = {};

    struct error *err = get_chain(client, kind, product, &chain, &collateral.chain_origin);
    if (!err)
        err = add_der(chain.ask, &collateral.ask);
    if (!err)
        err = add_der(chain.ark, &collateral.ark);
    if (err)
        return error_wrap(err, "collateral");
    *ret_no_vcek = chip ? get_vcek(client, chip, &chain, &collateral) : NULL;
    get_crl(client, kind, product, &chain, &collateral);
    *ret_collateral = collateral;
    collateral = (struct collateral){};
    return NULL;
}

struct error *collateral_get(struct collateral_client *client, enum vek_kind kind,
                             const struct kds_chip *chip, struct collateral *ret_collateral)
{
    _cleanup_(collateral_done) struct collateral collateral = {};
    struct error *no_vcek = NULL;

    struct error *err = get_some(client, kind, chip->product, kind == VEK_VCEK ? chip : NULL,
                                 &no_vcek, &collateral);
    if (err || no_vcek)
        return err ? err : error_wrap(no_vcek, "collateral");
    *ret_collateral = collateral;
    collateral = (struct collateral){};
    return NULL;
}

struct error *collateral_get_some(struct collateral_client *client, enum vek_kind kind,
                                  enum snp_product product, const struct kds_chip *chip,
                                  struct collateral *ret_collateral)
{
    struct error *no_vcek = NULL;

    struct error *err = get_some(client, kind, product, chip, &no_vcek, ret_collateral);
    if (no_vcek)
        ret_collateral->vcek_note = xstrdup(error_text(no_vcek));
    error_free(no_vcek);
    return err;
}

void collateral_write_table(const struct collateral *collateral, struct buffer *ret_table)
{
    const struct certificate_table table = {
        .vcek = {collateral->vcek.data, collateral->vcek.size},
        .ask = {collateral->ask.data, collateral->ask.size},
        .ark = {collateral->ark.data, collateral->ark.size},
        .crl = {collateral->crl.data, collateral->crl.size},
    };

    certificate_table_write(&table, ret_table);
}
