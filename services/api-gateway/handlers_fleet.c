/* What anybody may know of the fleet, and what a verifier needs. */
#include "services/api-gateway/etag.h"
#include "services/api-gateway/fleet_facts.h"
#include "services/api-gateway/handlers.h"

static json_t *facts_json(const struct gateway *gateway, const struct fleet_facts *facts)
{
    char sign[65];
    char box[65];
    json_t *cas = json_object();

    hex_encode(facts->authority_sign, 32, sign);
    hex_encode(gateway->fleet.authority_box, 32, box);
    for (size_t i = 0; i < facts->n_registry_cas; i++)
        json_object_set_new(cas, facts->registry_cas[i].name,
                            json_string(facts->registry_cas[i].text));
    return json_pack("{s:{s:s, s:s}, s:{s:s, s:s}, s:o, s:s}", "authority", "sign", sign, "box",
                     box, "acme", "directory", facts->acme_directory, "ca", facts->acme_ca,
                     "registryCas", cas, "workloadDomain", gateway->fleet.workload_domain);
}

struct error *on_fleet(struct request *request, struct response *ret_response)
{
    struct fleet_facts facts;
    const char **versions = NULL;
    size_t n = 0;
    struct error *err = fleet_facts_load(request->gateway, request->arena, &facts);

    err = err ?: images_list(request->gateway, request->arena, &versions, &n);
    if (err)
        return err;
    json_t *images = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(images, json_string(versions[i]));
    ret_response->json = facts_json(request->gateway, &facts);
    json_object_set_new(ret_response->json, "images", images);
    return NULL;
}

struct error *on_image(struct request *request, struct response *ret_response)
{
    struct error *err =
        image_load(request->gateway, request->parameter, request->arena, &ret_response->body);

    ret_response->content_type = "application/json";
    if (!err)
        etag_answer_body(request, ret_response);
    return err;
}
