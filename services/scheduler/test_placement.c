#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/scheduler/placement.h"

#define HOST(id, c, m, d, uc, um, ud)                                                              \
    {                                                                                              \
        .host_id = id, .ready = true, .eligible = true, .has_image = true,                         \
        .total = {.cpus = c, .memory_mib = m, .disk_gib = d}, .used = {                            \
            .cpus = uc,                                                                            \
            .memory_mib = um,                                                                      \
            .disk_gib = ud                                                                         \
        }                                                                                          \
    }

static const struct demand demand = {
    .needs = {.cpus = 2, .memory_mib = 2048, .disk_gib = 10},
    .image_version = "1.0",
};

struct row {
    const char *name;
    struct candidate hosts[3];
    size_t n;
    size_t chosen; /* n: none */
    const char *reasons;
};

static const struct row rows[] = {
    {"none", {{0}}, 0, 0, "no host has joined yet"},
    {"exactly what is free fits", {HOST("a", 4, 4096, 20, 2, 2048, 10)}, 1, 0, ""},
    {"one MiB too little",
     {HOST("a", 4, 4096, 20, 2, 2049, 10)},
     1,
     1,
     "1 host: memory exhausted (needs 2048 MiB, most free 2047 MiB)"},
    {"the fuller host is chosen",
     {HOST("a", 8, 8192, 80, 0, 0, 0), HOST("b", 8, 8192, 80, 4, 4096, 40)},
     2,
     1,
     ""},
    {"a tie goes to the lower id, whatever the order",
     {HOST("b", 8, 8192, 80, 0, 0, 0), HOST("a", 8, 8192, 80, 0, 0, 0)},
     2,
     1,
     ""},
    {"full hosts are passed over",
     {HOST("a", 2, 2048, 10, 1, 0, 0), HOST("b", 8, 8192, 80, 0, 0, 0)},
     2,
     1,
     ""},
    {"used may exceed total",
     {HOST("a", 2, 2048, 10, 4, 4096, 20)},
     1,
     1,
     "1 host: cpus exhausted (needs 2, most free 0); 1 host: memory exhausted (needs 2048 MiB, "
     "most free 0 MiB); 1 host: disk exhausted (needs 10 GiB, most free 0 GiB)"},
    {"every dimension is counted",
     {HOST("a", 1, 8192, 80, 0, 0, 0), HOST("b", 8, 1024, 80, 0, 0, 0),
      HOST("c", 8, 1000, 5, 0, 0, 0)},
     3,
     3,
     "1 host: cpus exhausted (needs 2, most free 1); 2 hosts: memory exhausted (needs 2048 MiB, "
     "most free 1024 MiB); 1 host: disk exhausted (needs 10 GiB, most free 5 GiB)"},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        _cleanup_buffer_ struct buffer reasons = {0};
        const struct row *row = &rows[i];
        size_t chosen = placement_choose(row->hosts, row->n, &demand, &reasons);
        if (chosen != row->chosen || strcmp(buffer_text(&reasons), row->reasons) != 0)
            fail_msg("%s: chose %zu, said '%s'", row->name, chosen, buffer_text(&reasons));
    }
}

static void test_what_is_not_capacity(void **state)
{
    (void)state;
    struct candidate hosts[] = {HOST("a", 8, 8192, 80, 0, 0, 0), HOST("b", 8, 8192, 80, 0, 0, 0),
                                HOST("c", 8, 8192, 80, 0, 0, 0)};
    _cleanup_buffer_ struct buffer reasons = {0};

    hosts[0].ready = false;
    hosts[1].eligible = false;
    hosts[2].has_image = false;
    assert_int_equal(placement_choose(hosts, 3, &demand, &reasons), 3);
    assert_string_equal(buffer_text(&reasons),
                        "1 host: not ready; 1 host: cordoned; 1 host: image version '1.0' missing");
}

static void test_gpus(void **state)
{
    (void)state;
    struct candidate hosts[] = {HOST("a", 8, 8192, 80, 0, 0, 0), HOST("b", 8, 8192, 80, 0, 0, 0)};
    struct demand gpu = demand;
    _cleanup_buffer_ struct buffer reasons = {0};

    gpu.needs.gpus = 1;
    assert_int_equal(placement_choose(hosts, 2, &gpu, &reasons), 2);
    assert_string_equal(buffer_text(&reasons), "2 hosts: gpus exhausted (needs 1, most free 0)");
    hosts[1].total.gpus = 1;
    assert_int_equal(placement_choose(hosts, 2, &gpu, &reasons), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_what_is_not_capacity),
        cmocka_unit_test(test_gpus),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
