/* Where webhooks may not lead, by text and by address. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>

#include "services/api-gateway/webhook_url.h"
#include "shared/base/alloc.h"

static bool is_taken(const char *url, bool insecure)
{
    _cleanup_(error_freep) struct error *err = webhook_url_check(url, insecure);

    assert_true(!err || error_get_code(err) == ERROR_INVALID_ARGUMENT);
    return !err;
}

static void test_urls_that_lead_to_the_internet_are_taken(_unused_ void **state)
{
    static const char *const urls[] = {
        "https://hooks.example.com",
        "https://hooks.example.com/",
        "https://hooks.example.com/a/b?c=d&e=%20f",
        "https://HOOKS.Example.COM:443/x",
        "https://hooks.example.com:1024/x",
        "https://hooks.example.com:65535/x",
        "https://xn--bcher-kva.example/x",
        "https://1.1.1.1/x",
        "https://[2606:4700:4700::1111]/x",
        "https://[2606:4700:4700::1111]:8443/x",
        "https://a-b.c-d.example/@path",
        "https://7.example.com/x",
        "https://127.0.0.1.example.com/x", /* a name: its address is judged at the connect */
    };

    for (size_t i = 0; i < ELEMENTSOF(urls); i++)
        if (!is_taken(urls[i], false))
            fail_msg("refused: %s", urls[i]);
}

static const char *const evil_in_any_case[] = {
    "",
    "hooks.example.com",
    "//hooks.example.com/x",
    "https:/hooks.example.com",
    "https://",
    "https:///x",
    "https://?x",
    "ftp://hooks.example.com/x",
    "file:///etc/passwd",
    "gopher://hooks.example.com/x",
    "javascript://hooks.example.com/x",
    "https+unix://hooks.example.com/x",
    "https://user@hooks.example.com/x",
    "https://user:pass@hooks.example.com/x",
    "https://@hooks.example.com/x",
    "https://hooks.example.com@127.0.0.1/x",
    "https://127.0.0.1\\@hooks.example.com/x",
    "https://hooks.example.com\\.evil.example/x",
    "https://hooks.example.com/x#fragment",
    "https://hooks.example.com#@127.0.0.1/",
    "https://hooks.example.com/a b",
    " https://hooks.example.com/x",
    "https://hooks.example.com/x ",
    "https://hooks.example.com/x\n",
    "https://hooks.example.com/x\r\nHost: evil",
    "https://hooks.example.com/x\tb",
    "https://hooks.example.com\n.evil.example/x",
    "https://hooks.example.com/\x7f",
    "https://b\xc3\xbc"
    "cher.example/x",
    "https://\xe2\x91\xa0\xe2\x91\xa6.0.0.1/x", /* digits in circles */
    "https://hooks\xe3\x80\x82"
    "example\xe3\x80\x82"
    "com/x", /* another full stop */
    "https://hooks%2eexample.com/x",
    "https://%31%32%37.0.0.1/x",
    "https://hooks.example.com./x",
    "https://127.0.0.1./x",
    "https://.example.com/x",
    "https://hooks..example.com/x",
    "https://-hooks.example.com/x",
    "https://hooks-.example.com/x",
    "https://hooks_x.example.com/x",
    "https://hooks*.example.com/x",
    "https://hooks.example.com:/x:y@z/{x}",
    "https://hooks.example.com:99999/x",
    "https://hooks.example.com:-1/x",
    "https://hooks.example.com:44a/x",
    "https://hooks.example.com:443:443/x",
    "https://[fe80::1%25eth0]/x",
    "https://[fe80::1%eth0]/x",
    "https://[::1/x",
    "https://::1/x",
    "https://[]/x",
    "https://[v1.a]/x",
    "https://1.2.3.256/x",
    "https://1.2.3.4.5/x",
    "https://hooks.example.123/x",
    "https://hooks.example.0x7f/x",
};

static const char *const evil_outside_development[] = {
    "http://hooks.example.com/x",
    "https://hooks.example.com:80/x",
    "https://hooks.example.com:22/x",
    "https://hooks.example.com:1023/x",
    "https://hooks.example.com:0/x",
    "https://localhost/x",
    "https://LOCALHOST/x",
    "https://redis/x",
    "https://a.localhost/x",
    "https://metadata.google.internal/x",
    "https://printer.local/x",
    "https://1.0.0.127.in-addr.arpa/x",
    "https://127.0.0.1/x",
    "https://127.1/x",
    "https://2130706433/x",
    "https://0x7f000001/x",
    "https://0x7f.0.0.1/x",
    "https://0177.0.0.1/x",
    "https://017700000001/x",
    "https://0/x",
    "https://0.0.0.0/x",
    "https://10.1.2.3/x",
    "https://100.64.0.1/x",
    "https://169.254.169.254/latest/meta-data",
    "https://2852039166/x", /* the same in one number */
    "https://192.168.0.1/x",
    "https://224.0.0.1/x",
    "https://255.255.255.255/x",
    "https://[::1]/x",
    "https://[::]/x",
    "https://[0:0:0:0:0:0:0:1]/x",
    "https://[::ffff:127.0.0.1]/x",
    "https://[::ffff:a9fe:a9fe]/x",
    "https://[64:ff9b::10.0.0.1]/x",
    "https://[fe80::1]/x",
    "https://[fc00::1]/x",
    "https://[fd00:ec2::254]/x",
    "https://[ff02::1]/x",
};

static void test_evil_urls_are_refused(_unused_ void **state)
{
    for (size_t i = 0; i < ELEMENTSOF(evil_in_any_case); i++)
        for (int insecure = 0; insecure < 2; insecure++)
            if (is_taken(evil_in_any_case[i], insecure))
                fail_msg("taken (insecure %d): %s", insecure, evil_in_any_case[i]);
    for (size_t i = 0; i < ELEMENTSOF(evil_outside_development); i++)
        if (is_taken(evil_outside_development[i], false))
            fail_msg("taken: %s", evil_outside_development[i]);
}

static void test_a_long_url_is_refused(_unused_ void **state)
{
    char url[WEBHOOK_URL_MAX + 2];
    static const char start[] = "https://hooks.example.com/";

    memset(url, 'a', sizeof(url));
    memcpy(url, start, strlen(start));
    url[WEBHOOK_URL_MAX + 1] = '\0';
    assert_false(is_taken(url, true));
    url[WEBHOOK_URL_MAX] = '\0';
    assert_true(is_taken(url, false));
    char host[400] = "https://";
    memset(host + 8, 'a', 64);
    strcpy(host + 72, ".example/x"); /* a label of 64 */
    assert_false(is_taken(host, true));
}

static void test_development_may_call_its_own_machine(_unused_ void **state)
{
    static const char *const urls[] = {"http://127.0.0.1:8099/x", "http://receiver:80/x",
                                       "http://[::1]:8080/", "https://localhost/x"};

    for (size_t i = 0; i < ELEMENTSOF(urls); i++)
        assert_true(is_taken(urls[i], true));
}

static bool is_public(const char *text)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return webhook_address_is_public((struct sockaddr *)&v4, sizeof(v4));
    assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return webhook_address_is_public((struct sockaddr *)&v6, sizeof(v6));
}

static void test_addresses(_unused_ void **state)
{
    static const struct {
        const char *address;
        bool is_public;
    } rows[] = {
        {"0.0.0.0", false},
        {"0.1.2.3", false},
        {"1.1.1.1", true},
        {"9.255.255.255", true},
        {"10.0.0.0", false},
        {"10.255.255.255", false},
        {"11.0.0.0", true},
        {"100.63.255.255", true},
        {"100.64.0.0", false},
        {"100.127.255.255", false},
        {"100.128.0.0", true},
        {"127.0.0.1", false},
        {"127.255.255.254", false},
        {"128.0.0.1", true},
        {"168.63.129.16", false},
        {"168.63.129.17", true},
        {"169.253.255.255", true},
        {"169.254.169.254", false},
        {"172.15.255.255", true},
        {"172.16.0.0", false},
        {"172.31.255.255", false},
        {"172.32.0.0", true},
        {"192.0.0.8", false},
        {"192.0.2.1", false},
        {"192.0.3.1", true},
        {"192.88.99.1", false},
        {"192.167.255.255", true},
        {"192.168.1.1", false},
        {"192.169.0.0", true},
        {"198.17.255.255", true},
        {"198.18.0.1", false},
        {"198.19.255.255", false},
        {"198.20.0.0", true},
        {"198.51.100.1", false},
        {"203.0.113.1", false},
        {"223.255.255.255", true},
        {"224.0.0.1", false},
        {"239.255.255.255", false},
        {"240.0.0.1", false},
        {"255.255.255.255", false},
        {"::", false},
        {"::1", false},
        {"::127.0.0.1", false},
        {"::8.8.8.8", false},
        {"::ffff:8.8.8.8", true},
        {"::ffff:10.0.0.1", false},
        {"::ffff:169.254.169.254", false},
        {"64:ff9b::8.8.8.8", true},
        {"64:ff9b::7f00:1", false},
        {"64:ff9b:1::8.8.8.8", false},
        {"100::1", false},
        {"2001::1", false},
        {"2001:1ff::1", false},
        {"2001:200::1", true},
        {"2001:db8::1", false},
        {"2002:7f00:1::", false},
        {"2606:4700:4700::1111", true},
        {"3fff::1", false},
        {"3fff:fff:ffff::1", false},
        {"3fff:1000::1", true},
        {"4000::1", false},
        {"fc00::1", false},
        {"fd00:ec2::254", false},
        {"fe80::1", false},
        {"fec0::1", false},
        {"ff02::1", false},
    };
    const struct sockaddr local = {.sa_family = AF_UNIX};

    for (size_t i = 0; i < ELEMENTSOF(rows); i++)
        if (is_public(rows[i].address) != rows[i].is_public)
            fail_msg("%s", rows[i].address);
    assert_false(webhook_address_is_public(&local, sizeof(local)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls_that_lead_to_the_internet_are_taken),
        cmocka_unit_test(test_evil_urls_are_refused),
        cmocka_unit_test(test_a_long_url_is_refused),
        cmocka_unit_test(test_development_may_call_its_own_machine),
        cmocka_unit_test(test_addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
