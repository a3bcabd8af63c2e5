#include "services/scheduler/revocation.h"

#include "shared/attestation/chain.h"
#include "shared/attestation/crl.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/base/log.h"
#include "shared/base/reader.h"

/* Of one root: AMD has one list for VCEKs and one for VLEKs of a product. Only what the root signed
 * gets in, so that nobody but the vendor can fill this. */
enum { SERIES_MAX = 8 };

DEFINE_CLEANUP(struct chain *, chain_free)

struct list {
    struct crl *crl;
    struct certificate_view der;
};

/* The record: lp(DER) for each list. */
struct memory {
    const char *id;
    uint64_t version;
    struct list lists[SERIES_MAX];
    size_t n;
};

static void memory_done(struct memory *memory)
{
    for (size_t i = 0; i < memory->n; i++)
        crl_free(memory->lists[i].crl);
}

/* The root's key: what it issues goes by that, not by a name that another root may bear too. */
static const char *id_of(X509 *ark, struct arena *arena)
{
    uint8_t *der = NULL;
    uint8_t digest[SHA256_SIZE];
    int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(ark), &der);

    sha256(der, size > 0 ? (size_t)size : 0, digest);
    OPENSSL_free(der);
    _cleanup_free_ char *hex = hex_encode_new(digest, sizeof(digest));
    return arena_strdup(arena, hex);
}

static struct error *list_read(const struct certificate_view *der, struct list *ret_list)
{
    struct crl *crl;
    struct error *err = crl_parse(der->data, der->size, &crl);

    if (err)
        return err;
    *ret_list = (struct list){.crl = crl, .der = *der};
    return NULL;
}

static struct error *memory_parse(struct memory *memory, ProtobufCBinaryData value)
{
    struct error *err = NULL;
    struct reader in;

    reader_init(&in, value.data, value.len);
    while (!err && reader_left(&in) > 0 && memory->n < SERIES_MAX) {
        uint32_t size = reader_u32be(&in);
        const struct certificate_view der = {reader_view(&in, size), size};
        if (in.failed)
            return error_new(ERROR_DATA_LOSS, "remembered revocation lists are cut off");
        err = list_read(&der, &memory->lists[memory->n]);
        memory->n += !err;
    }
    return error_recode(err, ERROR_DATA_LOSS);
}

static struct error *memory_load(struct scheduler *scheduler, const char *id, struct arena *arena,
                                 struct memory *memory)
{
    struct store_record record;
    struct error *err =
        store_get(scheduler->store, arena_printf(arena, "%s%s", KEY_CRL, id), arena, &record);

    *memory = (struct memory){.id = id};
    if (err || !record.version)
        return err;
    memory->version = record.version;
    return memory_parse(memory, record.value);
}

/* Whoever was quicker has remembered as good a list, or the next one is remembered. */
static struct error *memory_store(struct scheduler *scheduler, const struct memory *memory,
                                  struct arena *arena)
{
    _cleanup_buffer_ struct buffer value = {0};
    struct change change;

    for (size_t i = 0; i < memory->n; i++)
        buffer_add_lp(&value, memory->lists[i].der.data, memory->lists[i].der.size);
    change_init(&change, scheduler, arena);
    change_put_bytes(&change, KEY_CRL, memory->id, memory->version, value.data, value.size);
    struct error *err = change_commit(&change);
    if (error_get_code(err) != ERROR_ABORTED)
        return err;
    error_free(err);
    return NULL;
}

/* By number where both have one, which must not go back (RFC 5280 section 5.2.3), else by date. */
static bool is_newer(const struct crl *crl, const struct crl *than)
{
    int64_t number = crl_number(crl), other = crl_number(than);

    if (number >= 0 && other >= 0 && number != other)
        return number > other;
    return crl_this_update_ms(crl) > crl_this_update_ms(than);
}

/* Takes the list; true: it is remembered now. */
static bool memory_learn(struct memory *memory, struct list list)
{
    size_t i = 0;

    while (i < memory->n && !crl_is_of_series(memory->lists[i].crl, list.crl))
        i++;
    if (i == SERIES_MAX || (i < memory->n && !is_newer(list.crl, memory->lists[i].crl))) {
        crl_free(list.crl);
        return false;
    }
    if (i < memory->n)
        crl_free(memory->lists[i].crl);
    else
        memory->n++;
    memory->lists[i] = list;
    return true;
}

/* The table's list, when it is the root's own. */
static struct error *learn(struct scheduler *scheduler, ProtobufCBinaryData bytes, X509 *ark,
                           struct memory *memory, struct arena *arena)
{
    struct certificate_table table;
    struct list list = {0};
    struct error *err = certificate_table_parse(bytes.data, bytes.len, &table);

    if (!err && table.crl.data)
        err = list_read(&table.crl, &list);
    if (err || !list.crl || crl_problem(list.crl, ark)) { /* the verifier has said so */
        error_free(err);
        crl_free(list.crl);
        return NULL;
    }
    if (!memory_learn(memory, list))
        return NULL;
    log_info("newer revocation list remembered", "root", memory->id);
    return memory_store(scheduler, memory, arena);
}

static const char *judge(const struct memory *memory, const struct chain *chain)
{
    for (size_t i = 0; i < memory->n; i++)
        for (int place = 0; place < CHAIN_LENGTH; place++)
            if (crl_revokes(memory->lists[i].crl, chain->certificates[place]))
                return "a newer revocation list than the evidence's, seen before, names a key of "
                       "its chain";
    return NULL;
}

/* As the verifier collects it: which keys of the table are meant, the report says. NULL: it leads
 * to no root of ours, or the report is none, and is refused already. */
static struct chain *find_chain(const struct trust_roots *roots,
                                const Coffer__V1__Evidence *evidence)
{
    struct report report;
    const struct chain_input input = {
        .roots = roots,
        .report = &report,
        .table = evidence->certificates.data,
        .table_size = evidence->certificates.len,
    };
    struct error *err = report_parse(evidence->report.data, evidence->report.len, &report);
    struct chain *chain = err || !roots ? NULL : chain_new(&input);

    error_free(err);
    if (!chain || !chain->code)
        return chain;
    chain_free(chain);
    return NULL;
}

struct error *revocation_check(struct scheduler *scheduler, const struct trust_roots *roots,
                               const Coffer__V1__Evidence *evidence, struct arena *arena,
                               const char **ret_problem)
{
    _cleanup_(chain_freep) struct chain *chain = find_chain(roots, evidence);
    _cleanup_(memory_done) struct memory memory = {0};

    *ret_problem = NULL;
    if (!chain)
        return NULL;
    X509 *ark = chain->certificates[CHAIN_ARK];
    struct error *err = memory_load(scheduler, id_of(ark, arena), arena, &memory);
    err = err ?: learn(scheduler, evidence->certificates, ark, &memory, arena);
    if (!err)
        *ret_problem = judge(&memory, chain);
    return error_wrap(err, "remembered revocation lists");
}
