#include "base/metrics.h"

namespace wow {

const std::array<MetricInfo, kMetricCount> kMetricInfos = {{
#define WOW_METRIC_INFO(constant, name, help) {name, help},
    WOW_METRICS(WOW_METRIC_INFO)
#undef WOW_METRIC_INFO
}};

MetricSlot& Metrics::add_slot() {
  const std::lock_guard lock(mutex_);
  return *slots_.emplace_back(std::make_unique<MetricSlot>());
}

std::uint64_t Metrics::total(Metric metric) const {
  const std::lock_guard lock(mutex_);
  std::uint64_t sum = 0;
  for (const auto& slot : slots_) sum += slot->get(metric);
  return sum;
}

}  // namespace wow
