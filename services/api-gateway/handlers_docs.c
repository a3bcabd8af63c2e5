/*
 * The API's description: openapi.json, which is part of the program, and a page that renders it
 * for people with Swagger UI. The renderer's files are not ours: they lie in GATEWAY_DOCS_DIR, and
 * only the ones named here are given out.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "services/api-gateway/gateway.h"
#include "services/api-gateway/handlers.h"

extern const unsigned char openapi_json[];
extern const size_t openapi_json_size;

static const char page[] = "<!doctype html>\n"
                           "<html lang=\"en\">\n"
                           "<meta charset=\"utf-8\">\n"
                           "<meta name=\"viewport\" content=\"width=device-width\">\n"
                           "<title>Coffer API</title>\n"
                           "<link rel=\"icon\" href=\"/docs/favicon-32x32.png\">\n"
                           "<link rel=\"stylesheet\" href=\"/docs/swagger-ui.css\">\n"
                           "<div id=\"api\"><p>The API is described in "
                           "<a href=\"/openapi.json\">openapi.json</a>.</div>\n"
                           "<script src=\"/docs/swagger-ui-bundle.js\"></script>\n"
                           "<script src=\"/docs/start.js\"></script>\n"
                           "</html>\n";

static const char start_js[] = "SwaggerUIBundle({url: '/openapi.json', dom_id: '#api', "
                               "deepLinking: true, docExpansion: 'list', "
                               "defaultModelsExpandDepth: 0, validatorUrl: null});\n";

/* Scripts of this server only; the renderer sets styles of elements and shows its own icons. */
static const char policy[] = "default-src 'none'; script-src 'self'; connect-src 'self'; "
                             "style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
                             "frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

static const struct {
    const char *name;
    const char *type;
} files[] = {
    {"swagger-ui.css", "text/css"},
    {"swagger-ui-bundle.js", "text/javascript"},
    {"favicon-32x32.png", "image/png"},
};

/* As in the existing system, pages of any origin may read it: it is the same for everybody. */
struct error *on_openapi(struct request *request, struct response *ret_response)
{
    response_header(request, ret_response, "Access-Control-Allow-Origin", "*");
    ret_response->raw = MHD_create_response_from_buffer(openapi_json_size, (void *)openapi_json,
                                                        MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(ret_response->raw, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    return NULL;
}

struct error *on_docs(struct request *request, struct response *ret_response)
{
    if (!*request->gateway->config->docs_dir)
        return error_new(ERROR_NOT_FOUND, "the page's renderer is not installed here "
                                          "(GATEWAY_DOCS_DIR); see /openapi.json");
    buffer_add_text(&ret_response->body, page);
    ret_response->content_type = "text/html; charset=utf-8";
    response_header(request, ret_response, "Content-Security-Policy", policy);
    return NULL;
}

static struct error *open_file(struct request *request, const char *name, int *ret_fd,
                               size_t *ret_size)
{
    const char *path =
        arena_printf(request->arena, "%s/%s", request->gateway->config->docs_dir, name);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat about;

    if (fd < 0 || fstat(fd, &about) < 0 || !S_ISREG(about.st_mode))
        return error_new(ERROR_NOT_FOUND, "no such file");
    *ret_size = (size_t)about.st_size;
    *ret_fd = TAKE_FD(fd);
    return NULL;
}

static struct error *give_file(struct request *request, const char *name, const char *type,
                               struct response *ret_response)
{
    size_t size = 0;
    int fd = -1;
    struct error *err = open_file(request, name, &fd, &size);

    if (err)
        return err;
    ret_response->raw = MHD_create_response_from_fd(size, fd);
    MHD_add_response_header(ret_response->raw, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    return NULL;
}

struct error *on_docs_file(struct request *request, struct response *ret_response)
{
    if (strcmp(request->parameter, "start.js") == 0) {
        buffer_add_text(&ret_response->body, start_js);
        ret_response->content_type = "text/javascript";
        return NULL;
    }
    for (size_t i = 0; *request->gateway->config->docs_dir && i < ELEMENTSOF(files); i++)
        if (strcmp(request->parameter, files[i].name) == 0)
            return give_file(request, files[i].name, files[i].type, ret_response);
    return error_new(ERROR_NOT_FOUND, "no such file");
}
