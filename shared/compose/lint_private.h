/* What the rules share. Rules see a tree and add findings; they never fail. */
#pragma once

#include "shared/compose/lint.h"
#include "shared/compose/node.h"

struct lint {
    const struct compose_options *options;
    struct arena *arena;
    struct findings *findings;
    struct compose_summary *summary; /* NULL: not asked for */
    const struct node *root;
    size_t n_ports; /* that are published or exposed so far */
    bool model;     /* compose's own output: resolved, so "$" means nothing any more */
};

/* One value in its place. */
struct place {
    const char *where; /* "services.web.ports[0]" */
    unsigned line;
    const char *service;      /* NULL outside services */
    const struct node *value; /* never NULL */
};

/* Text for people: at most 80 bytes of valid UTF-8 without control characters. */
const char *lint_show(struct arena *arena, const char *text);

/* rule, what, why, fix; what is formatted with lint_show()n texts by the caller. */
void lint_find(struct lint *lint, const struct place *place, const char *rule, const char *what,
               const char *why, const char *fix);

struct place lint_child(struct lint *lint, const struct place *parent, const char *key,
                        const struct node *value, unsigned line);
struct place lint_item(struct lint *lint, const struct place *parent, size_t index);

/* Every key must be in the list (or x-*); keys is ended by NULL. */
void lint_keys(struct lint *lint, const struct place *place, const char *const *keys);

/* False, with a finding, when the value is not of the kind. */
bool lint_expect(struct lint *lint, const struct place *place, enum node_kind kind);

/* Names that are ours, or look like it. */
bool lint_name_is_reserved(const char *name);
void lint_check_name(struct lint *lint, const struct place *place, const char *name);

/* In the model: the name that compose itself gives, "<project>_<key>". */
bool lint_is_project_name(const struct lint *lint, const char *key, const char *name);

/* What a scalar is to compose's reader of YAML. */
enum scalar { SCALAR_NULL, SCALAR_BOOL, SCALAR_NUMBER, SCALAR_DATE, SCALAR_TEXT };
enum scalar lint_scalar(const struct node *node);

/* As compose reads them; false, with nothing returned, for NULL and for anything else. */
bool lint_number(const struct node *node, double *ret_number);
bool lint_size(const struct node *node, double *ret_bytes);
bool lint_span(const char *text);                          /* "1m30s" */
bool lint_expose(const struct node *node);                 /* "8080", 8080, "8080-8090/udp" */
bool lint_word_is_in(const char *text, const char *words); /* "a|b|c", of any case */

/* Findings for values at and below a service's key, or "/name" of the file, that compose does not
 * take (text only). */
void lint_words(struct lint *lint, const struct place *place, const char *key);

/* False, with a finding, when compose refuses values of this shape under the service's key (text
 * only). */
bool lint_shape(struct lint *lint, const struct place *place, const char *key);

/* "$" anywhere in the tree below is a finding (text only). */
void lint_no_interpolation(struct lint *lint, const struct place *place);

/* "@sha256:" and 64 lower-case hex digits at the end of an image reference. */
bool lint_image_is_pinned(const char *image);

/* The rules of one service key each. */
typedef void (*lint_rule)(struct lint *lint, const struct place *place);
void lint_service(struct lint *lint, const struct place *service);
void lint_environment(struct lint *lint, const struct place *place);
void lint_image(struct lint *lint, const struct place *place);
void lint_ports(struct lint *lint, const struct place *place);
void lint_service_volumes(struct lint *lint, const struct place *place);
void lint_env_file(struct lint *lint, const struct place *place);
void lint_service_networks(struct lint *lint, const struct place *place);
void lint_links(struct lint *lint, const struct place *place);
void lint_extra_hosts(struct lint *lint, const struct place *place);
void lint_depends_on(struct lint *lint, const struct place *place);
void lint_own_name(struct lint *lint, const struct place *place);
void lint_deploy(struct lint *lint, const struct place *place);
void lint_logging(struct lint *lint, const struct place *place);
void lint_healthcheck(struct lint *lint, const struct place *place);
void lint_labels(struct lint *lint, const struct place *place);
void lint_security_opt(struct lint *lint, const struct place *place);
void lint_pull_policy(struct lint *lint, const struct place *place);
void lint_profiles(struct lint *lint, const struct place *place);

/* Of the keys of one service (text only). */
void lint_conflicts(struct lint *lint, const struct place *service);

/* Of the at most COMPOSE_SERVICES_MAX services of this mapping. */
void lint_cycles(struct lint *lint, const struct place *services);

/* Top-level sections. */
void lint_volumes(struct lint *lint, const struct place *place);
void lint_networks(struct lint *lint, const struct place *place);
