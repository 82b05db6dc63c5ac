#include <weft/bench/echo_load/report.hpp>

#include <cinttypes>
#include <cstdio>

namespace echo_load {

namespace {

double microseconds(std::uint64_t nanoseconds) {
    return static_cast<double>(nanoseconds) / 1000;
}

double per_request_us(load_summary const& load, double seconds) {
    auto const requests = load.total.latency.count();
    return requests == 0 ? 0 : seconds * 1e6 / static_cast<double>(requests);
}

// Bytes echoed, one direction, in 10^6 bytes a second.
double megabytes_per_second(options const& chosen, load_summary const& load) {
    return load.requests_per_second() * static_cast<double>(chosen.message_size) / 1e6;
}

double per_idle(options const& chosen, std::uint64_t before, std::uint64_t after) {
    auto const growth = static_cast<double>(after) - static_cast<double>(before);
    return growth / static_cast<double>(chosen.idle_connections);
}

void print_load(options const& chosen, load_summary const& load) {
    auto const& latency = load.total.latency;
    std::printf("requests            %12" PRIu64 "\n", latency.count());
    std::printf("requests/s          %12.0f\n", load.requests_per_second());
    std::printf("MB/s                %12.2f\n", megabytes_per_second(chosen, load));
    std::printf("latency p50 us      %12.1f\n", microseconds(latency.percentile(0.5)));
    std::printf("latency p99 us      %12.1f\n", microseconds(latency.percentile(0.99)));
    std::printf("latency p99.9 us    %12.1f\n", microseconds(latency.percentile(0.999)));
    std::printf("latency max us      %12.1f\n", microseconds(latency.max()));
    if (chosen.requests_per_second > 0) {
        std::printf("backlog at the end  %12" PRIu64 "\n", load.total.backlog);
    }
    if (load.server_cpu_seconds) {
        auto const seconds = *load.server_cpu_seconds;
        std::printf("server CPU us/req   %12.3f\n", per_request_us(load, seconds));
        std::printf("server CPU cores    %12.2f\n", seconds / load.window_seconds);
    }
    std::printf("load CPU us/req     %12.3f\n", per_request_us(load, load.load_cpu_seconds));
    std::printf("load CPU cores      %12.2f\n", load.load_cpu_seconds / load.window_seconds);
}

void print_optional(char const* name, std::optional<double> value) {
    if (value) {
        std::printf(",\"%s\":%.4f", name, *value);
    } else {
        std::printf(",\"%s\":null", name);
    }
}

void print_json_idle(options const& chosen, report const& what) {
    std::optional<double> resident;
    std::optional<double> anonymous;
    if (what.idle) {
        auto const& [before, after] = *what.idle;
        resident = per_idle(chosen, before.resident_bytes, after.resident_bytes);
        anonymous = per_idle(chosen, before.anonymous_bytes, after.anonymous_bytes);
    }
    print_optional("server_resident_bytes_per_idle", resident);
    print_optional("server_anonymous_bytes_per_idle", anonymous);
}

}  // namespace

std::uint64_t report::errors() const noexcept {
    auto const& total = load.total;
    return total.lost_connections + total.mismatches + total.unanswered + idle_lost;
}

void print_table(options const& chosen, report const& what) {
    std::printf("%zu connections x %zu outstanding x %zu bytes, %zu idle, %zu thread%s, ",
                chosen.connections,
                chosen.pipeline,
                chosen.message_size,
                chosen.idle_connections,
                chosen.threads,
                chosen.threads == 1 ? "" : "s");
    if (chosen.requests_per_second > 0) {
        std::printf("open loop at %.0f/s, ", chosen.requests_per_second);
    } else {
        std::printf("closed loop, ");
    }
    std::printf("%.2f s\n", what.load.window_seconds);
    if (chosen.connections > 0 && what.load.window_seconds > 0) {
        print_load(chosen, what.load);
    }
    if (what.idle) {
        auto const& [before, after] = *what.idle;
        std::printf("resident bytes/idle %12.0f\n",
                    per_idle(chosen, before.resident_bytes, after.resident_bytes));
        std::printf("anonymous bytes/idle%12.0f\n",
                    per_idle(chosen, before.anonymous_bytes, after.anonymous_bytes));
        std::printf("resident kB, before %12" PRIu64 "\n", before.resident_bytes / 1024);
        std::printf("resident kB, after  %12" PRIu64 "\n", after.resident_bytes / 1024);
    }
    auto const& total = what.load.total;
    std::printf("errors              %12" PRIu64 "  (lost %" PRIu64 ", mismatched %" PRIu64
                ", unanswered %" PRIu64 ", idle lost %" PRIu64 ")\n",
                what.errors(),
                total.lost_connections,
                total.mismatches,
                total.unanswered,
                what.idle_lost);
}

void print_json(options const& chosen, report const& what) {
    auto const& load = what.load;
    auto const& total = load.total;
    auto const& latency = total.latency;
    std::printf("{\"connections\":%zu,\"size\":%zu,\"pipeline\":%zu,\"threads\":%zu,\"idle\":%zu",
                chosen.connections,
                chosen.message_size,
                chosen.pipeline,
                chosen.threads,
                chosen.idle_connections);
    std::printf(
        ",\"rate\":%.3f,\"window_s\":%.6f", chosen.requests_per_second, load.window_seconds);
    std::printf(",\"requests\":%" PRIu64 ",\"requests_per_s\":%.1f,\"mb_per_s\":%.3f",
                latency.count(),
                load.requests_per_second(),
                megabytes_per_second(chosen, load));
    std::printf(",\"p50_us\":%.3f,\"p99_us\":%.3f,\"p999_us\":%.3f,\"max_us\":%.3f",
                microseconds(latency.percentile(0.5)),
                microseconds(latency.percentile(0.99)),
                microseconds(latency.percentile(0.999)),
                microseconds(latency.max()));
    std::printf(",\"backlog\":%" PRIu64, total.backlog);
    std::optional<double> server_us;
    if (load.server_cpu_seconds) {
        server_us = per_request_us(load, *load.server_cpu_seconds);
    }
    print_optional("server_cpu_s", load.server_cpu_seconds);
    print_optional("server_cpu_us_per_request", server_us);
    print_optional("load_cpu_s", load.load_cpu_seconds);
    print_json_idle(chosen, what);
    std::printf(",\"lost\":%" PRIu64 ",\"mismatched\":%" PRIu64 ",\"unanswered\":%" PRIu64
                ",\"idle_lost\":%" PRIu64 ",\"errors\":%" PRIu64 "}\n",
                total.lost_connections,
                total.mismatches,
                total.unanswered,
                what.idle_lost,
                what.errors());
}

}  // namespace echo_load
