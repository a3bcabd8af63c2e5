#include "services/host-agent/haproxy_config.h"

static const char head[] = "# Written by host-agent; changes are lost.\n"
                           "global\n"
                           "    maxconn 4000\n"
                           "    hard-stop-after 1h\n"
                           "\n"
                           "defaults\n"
                           "    timeout connect 5s\n"
                           "    timeout client 5m\n"
                           "    timeout server 5m\n"
                           "    timeout tunnel 1h\n"
                           "    timeout http-request 10s\n"
                           "\n";

/* TLS is not ended here: the certificate lives inside the CVM. */
static const char https_head[] = "frontend https\n"
                                 "    mode tcp\n"
                                 "    bind :443\n"
                                 "    tcp-request inspect-delay 5s\n"
                                 "    tcp-request content reject unless { req.ssl_hello_type 1 }\n";

static const char http_head[] = "frontend http\n"
                                "    mode http\n"
                                "    bind :80\n";

/* "a b c", the names that this route has; false when it has none. */
static bool add_names(const struct ingress_route *routes, size_t route, struct buffer *text)
{
    bool any = false;

    for (size_t k = 0; k < routes[route].n_domains; k++) {
        if (!ingress_is_first(routes, route, k))
            continue;
        buffer_printf(text, " %s", routes[route].domains[k]);
        any = true;
    }
    return any;
}

static void add_rules(const struct ingress_route *routes, size_t n, const char *suffix,
                      const char *sample, struct buffer *text)
{
    for (size_t i = 0; i < n; i++) {
        _cleanup_buffer_ struct buffer names = {0};
        if (add_names(routes, i, &names))
            buffer_printf(text, "    use_backend %s-%s if { %s -i --%s }\n", routes[i].workload_id,
                          suffix, sample, buffer_text(&names));
    }
}

static void add_backends(const struct ingress_route *routes, size_t n, struct buffer *text)
{
    for (size_t i = 0; i < n; i++)
        buffer_printf(text,
                      "\nbackend %s-tls\n    mode tcp\n    server vm %s:443\n"
                      "\nbackend %s-http\n    mode http\n    server vm %s:80\n",
                      routes[i].workload_id, routes[i].address, routes[i].workload_id,
                      routes[i].address);
}

void haproxy_config(const struct ingress_route *routes, size_t n, struct buffer *ret_text)
{
    buffer_add_text(ret_text, head);
    buffer_add_text(ret_text, https_head);
    add_rules(routes, n, "tls", "req.ssl_sni", ret_text);
    buffer_add_text(ret_text, "    default_backend refuse-tls\n\n");
    buffer_add_text(ret_text, http_head);
    add_rules(routes, n, "http", "req.hdr(host),host_only", ret_text);
    buffer_add_text(ret_text, "    default_backend refuse-http\n");
    buffer_add_text(ret_text, "\nbackend refuse-tls\n    mode tcp\n    tcp-request content reject\n"
                              "\nbackend refuse-http\n    mode http\n"
                              "    http-request deny deny_status 421\n");
    add_backends(routes, n, ret_text);
}
