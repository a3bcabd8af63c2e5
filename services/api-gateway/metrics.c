#include "services/api-gateway/metrics.h"

#include <inttypes.h>

void metrics_init(struct metrics *metrics)
{
    *metrics = (struct metrics){.lock = PTHREAD_MUTEX_INITIALIZER};
}

void metrics_done(struct metrics *metrics)
{
    pthread_mutex_destroy(&metrics->lock);
}

/* Routes are static texts of two small tables, so there is always a place. */
static struct metrics_row *row_of(struct metrics *metrics, const char *route)
{
    for (size_t i = 0; i < metrics->n_rows; i++)
        if (metrics->rows[i].route == route)
            return &metrics->rows[i];
    if (metrics->n_rows == METRICS_ROUTES_MAX)
        return &metrics->rows[METRICS_ROUTES_MAX - 1];
    metrics->rows[metrics->n_rows].route = route;
    return &metrics->rows[metrics->n_rows++];
}

void metrics_count(struct metrics *metrics, const char *route, unsigned status, int64_t duration_ms)
{
    pthread_mutex_lock(&metrics->lock);
    struct metrics_row *row = row_of(metrics, route);
    row->by_class[status / 100 < 6 ? status / 100 : 0]++;
    row->duration_ms += (uint64_t)duration_ms;
    pthread_mutex_unlock(&metrics->lock);
}

void metrics_add(struct metrics *metrics, uint64_t *counter)
{
    pthread_mutex_lock(&metrics->lock);
    ++*counter;
    pthread_mutex_unlock(&metrics->lock);
}

static void print_row(const struct metrics_row *row, struct buffer *text)
{
    for (unsigned i = 0; i < 6; i++)
        if (row->by_class[i])
            buffer_printf(
                text, "coffer_gateway_requests_total{route=\"%s\",class=\"%uxx\"} %" PRIu64 "\n",
                row->route, i, row->by_class[i]);
}

static void print_webhooks(const struct metrics *metrics, struct buffer *text)
{
    buffer_printf(text,
                  "# TYPE coffer_gateway_webhook_attempts_total counter\n"
                  "coffer_gateway_webhook_attempts_total{result=\"ok\"} %" PRIu64 "\n"
                  "coffer_gateway_webhook_attempts_total{result=\"failed\"} %" PRIu64 "\n"
                  "# TYPE coffer_gateway_webhook_deliveries_total counter\n"
                  "coffer_gateway_webhook_deliveries_total{result=\"delivered\"} %" PRIu64 "\n"
                  "coffer_gateway_webhook_deliveries_total{result=\"failed\"} %" PRIu64 "\n"
                  "coffer_gateway_webhook_deliveries_total{result=\"dropped\"} %" PRIu64 "\n",
                  metrics->webhook_ok, metrics->webhook_failures, metrics->webhook_delivered,
                  metrics->webhook_given_up, metrics->webhook_dropped);
}

void metrics_print(struct metrics *metrics, struct buffer *ret_text)
{
    pthread_mutex_lock(&metrics->lock);
    buffer_add_text(ret_text, "# TYPE coffer_gateway_requests_total counter\n");
    for (size_t i = 0; i < metrics->n_rows; i++)
        print_row(&metrics->rows[i], ret_text);
    buffer_add_text(ret_text, "# TYPE coffer_gateway_request_seconds_total counter\n");
    for (size_t i = 0; i < metrics->n_rows; i++)
        buffer_printf(ret_text, "coffer_gateway_request_seconds_total{route=\"%s\"} %.3f\n",
                      metrics->rows[i].route, (double)metrics->rows[i].duration_ms / 1000);
    buffer_printf(ret_text,
                  "# TYPE coffer_gateway_untrusted_answers_total counter\n"
                  "coffer_gateway_untrusted_answers_total %" PRIu64 "\n"
                  "# TYPE coffer_gateway_untrusted_logs_total counter\n"
                  "coffer_gateway_untrusted_logs_total %" PRIu64 "\n",
                  metrics->untrusted_answers, metrics->untrusted_logs);
    print_webhooks(metrics, ret_text);
    pthread_mutex_unlock(&metrics->lock);
}
