// What a webhook URL may look like, and how it is shown in logs.
#include "eventhub/http/url.hpp"

#include "support/catch.hpp"

using namespace eventhub::http;

namespace {

struct Good {
  std::string text, host, target, authority, origin;
  int port;
};

}  // namespace

TEST_CASE("plain URLs are taken apart") {
  const auto good = GENERATE(values<Good>({
      {"http://example.com", "example.com", "/", "example.com", "http://example.com", 80},
      {"https://example.com/", "example.com", "/", "example.com", "https://example.com", 443},
      {"HTTP://EXAMPLE.com/Hook", "example.com", "/Hook", "example.com", "http://example.com", 80},
      {"http://example.com:80/a", "example.com", "/a", "example.com", "http://example.com", 80},
      {"https://example.com:443/a", "example.com", "/a", "example.com", "https://example.com", 443},
      {"http://example.com:443/", "example.com", "/", "example.com:443", "http://example.com:443",
       443},
      {"http://a:8080/x?y=z&q=%20", "a", "/x?y=z&q=%20", "a:8080", "http://a:8080", 8080},
      {"http://a?x=/1?2", "a", "/?x=/1?2", "a", "http://a", 80},
      {"http://10.1.2.3:65535/", "10.1.2.3", "/", "10.1.2.3:65535", "http://10.1.2.3:65535", 65535},
      {"http://[::1]:8080/x", "::1", "/x", "[::1]:8080", "http://[::1]:8080", 8080},
      {"https://[2001:DB8::1]", "2001:db8::1", "/", "[2001:db8::1]", "https://[2001:db8::1]", 443},
      {"http://[::ffff:1.2.3.4]/", "::ffff:1.2.3.4", "/", "[::ffff:1.2.3.4]",
       "http://[::ffff:1.2.3.4]", 80},
      {"http://web_hook-1.svc.cluster/", "web_hook-1.svc.cluster", "/", "web_hook-1.svc.cluster",
       "http://web_hook-1.svc.cluster", 80},
      {"http://xn--bcher-kva.example/", "xn--bcher-kva.example", "/", "xn--bcher-kva.example",
       "http://xn--bcher-kva.example", 80},
      {"http://3com.com/a@b:c", "3com.com", "/a@b:c", "3com.com", "http://3com.com", 80},
      {"http://a/x[0]={1}|2", "a", "/x[0]={1}|2", "a", "http://a", 80},
  }));
  CAPTURE(good.text);
  const auto parsed = parse_url(good.text);
  REQUIRE(std::holds_alternative<Url>(parsed));
  const Url& url = std::get<Url>(parsed);
  CHECK(url.host == good.host);
  CHECK(url.port == good.port);
  CHECK(url.target == good.target);
  CHECK(url.authority() == good.authority);
  CHECK(url.origin() == good.origin);
}

TEST_CASE("odd spellings are refused with a reason") {
  struct Kind {
    std::string reason;
    std::vector<std::string> texts;
  };
  const std::vector<Kind> kinds{
      {"does not start with http:// or https://",
       {"", "x", "http", "http:", "http:/", "http:example.com", "//example.com", "/path",
        "example.com/hook", "ftp://example.com", "file:///etc/passwd", "gopher://127.0.0.1:25/",
        "javascript://a", "httpss://a"}},
      {"has no host", {"http://", "http:///", "http:///path", "http://:80/", "http://::1/"}},
      {"has a space, a control character or one outside ASCII",
       {" http://a", "http://a ", "http://a b/", "http://a/b c", "http://a/\tb",
        "http://a/\r\nHost: b", "http://a/\x01", "http://a/\x7f", "http://a: 80/",
        "http://\xef\xbc\x91\xef\xbc\x92\xef\xbc\x97.0.0.1/",
        "http://b\xc3\xbc"
        "cher.example/",
        "http://a/\xff",
        "http://a\xe3\x80\x82"
        "b/"}},
      {"has a backslash", {"http://a\\b/", "http://a/\\b", "http:\\\\a/"}},
      {"has user information (name:password@); use the subscriber's headers",
       {"http://user@a/", "http://user:pass@a/", "http://@a/", "http://a@127.0.0.1/"}},
      {"has a host with a character other than letters, digits, '-', '.' (international names in "
       "punycode)",
       {"http://a%40b/", "http://a,b/", "http://a*b/", "http://a!b/", "http://a;b/"}},
      {"has a fragment", {"http://a/#frag", "http://a#frag", "http://a/x#"}},
      {"has a port that is not a number from 1 to 65535",
       {"http://a:/", "http://a:0/", "http://a:65536/", "http://a:99999999999/", "http://a:-1/",
        "http://a:+1/", "http://a:8o/", "http://a:080/", "http://a:80:80/", "http://[::1]x/",
        "http://[::1]:/", "http://[::1]:0/"}},
      {"has a host that is neither a name nor a dotted IPv4 address",
       {"http://0x7f.1/", "http://0x7f000001/", "http://0X7F.0.0.1/", "http://2130706433/",
        "http://0177.0.0.1/", "http://127.1/", "http://127.0.1/", "http://127.0.0.1./",
        "http://127.0.0.256/", "http://127.0.0.01/", "http://1.2.3.4.5/", "http://127.0.0/",
        "http://0/", "http://a.0x1/", "http://a.1/", "http://localhost./", "http://example.com./",
        "http://%31%32%37.0.0.1/"}},
      {"has a host with an empty or long label", {"http://.example.com/", "http://a..b/"}},
      {"has a host label that starts or ends with '-'", {"http://-a.com/", "http://a-.com/"}},
      {"has a bracket that is not closed", {"http://[::1/"}},
      {"has a bracketed host that is not an IPv6 address (zone ids are refused)",
       {"http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/", "http://[v1.a]/", "http://[::g]/",
        "http://[[::1]]/"}},
      {"has a bracketed host that is not an IPv6 address", {"http://[127.0.0.1]/", "http://[]/"}},
      {"has a '%' that is not followed by two hexadecimal digits",
       {"http://a/%", "http://a/%2", "http://a/%zz"}},
      {"has a character that must be percent-encoded", {"http://a/<x>", "http://a/\"x\""}},
  };
  std::size_t count = 0;
  for (const Kind& kind : kinds) {
    for (const std::string& text : kind.texts) {
      CAPTURE(text);
      const auto parsed = parse_url(text);
      REQUIRE(std::holds_alternative<std::string>(parsed));
      CHECK(std::get<std::string>(parsed) == "URL " + kind.reason);
      ++count;
    }
  }
  CHECK(count >= 90);
}

TEST_CASE("URLs with NUL bytes and without end are refused") {
  CHECK(std::holds_alternative<std::string>(parse_url(std::string("http://a/\0b", 11))));
  CHECK(std::holds_alternative<std::string>(parse_url(std::string("http://a\0.b/", 12))));
  CHECK(std::holds_alternative<std::string>(parse_url("http://a/" + std::string(3000, 'x'))));
  CHECK(std::holds_alternative<std::string>(parse_url("http://" + std::string(64, 'x') + ".com/")));
  std::string many = "http://a";
  for (int i = 0; i < 130; ++i) many += ".a";
  CHECK(std::holds_alternative<std::string>(parse_url(many)));
}

TEST_CASE("logs show neither user information nor the query") {
  CHECK(redact_url("https://example.com:8443/hook?token=secret") ==
        "https://example.com:8443/hook");
  CHECK(redact_url("https://user:pa@ss@example.com/hook") == "https://example.com/hook");
  CHECK(redact_url("http://example.com/a@b") == "http://example.com/a@b");
  CHECK(redact_url("http://example.com#secret") == "http://example.com");
  CHECK(redact_url("user:secret@example.com/x") == "example.com/x");
  CHECK(redact_url("user:secret@example.com/x://y") == "example.com/x://y");
  CHECK(redact_url("user@http://user:secret@example.com/x") == "example.com/x");
  CHECK(redact_url("http://a/\r\nfaked line\x1b[2J") == "http://a/??faked line?[2J");
  CHECK(redact_url("").empty());
}
