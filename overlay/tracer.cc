#include "overlay/tracer.h"

#include <utility>

namespace wow {

void Tracer::trace(const Address& target, Done done) {
  if (runs_.size() >= ring::kTracesMax) {
    return hub_.later([done = std::move(done)] { done({}); });
  }
  RoutedHeader header;
  header.payload = RoutedPayload::kCtm;
  header.destination = target;
  header.source = hub_.self;
  Run& run = runs_[++next_run_];
  run.target = target;
  run.done = std::move(done);
  run.next = forwarder_.why_next(header, {});
  ask(next_run_);
}

void Tracer::ask(std::uint32_t id) {
  Run& run = runs_.at(id);
  const bool lost = run.silent >= ring::kTraceSilentMax || run.next.node.is_zero();
  if (lost || run.steps.size() >= RoutedHeader::kHopLimit) return finish(id);
  introducer_.trace(
      run.target, static_cast<std::uint8_t>(run.steps.size() + 1),
      [this, id](const std::optional<Introducer::Traced>& answer) { on_answer(id, answer); });
}

void Tracer::on_answer(std::uint32_t id, const std::optional<Introducer::Traced>& answer) {
  const auto found = runs_.find(id);
  if (found == runs_.end()) return;
  Run& run = found->second;
  if (!answer) {
    // Who did not answer may have passed later ones on.
    const Address silent = run.silent == 0 ? run.next.node : Address();
    run.steps.push_back({silent, {}, run.silent == 0 ? run.next.reason : HopReason::kNone, false});
    ++run.silent;
    return ask(id);
  }
  const bool told = run.silent == 0;
  run.steps.push_back({answer->node, answer->round_trip, told ? run.next.reason : HopReason::kNone,
                       told && run.next.relayed});
  run.silent = 0;
  run.next = answer->next.value_or(TraceNext{});
  if (answer->node == run.target) return finish(id);
  ask(id);
}

void Tracer::finish(std::uint32_t id) {
  auto run = std::move(runs_.extract(id).mapped());
  hub_.later([done = std::move(run.done), steps = std::move(run.steps)] { done(steps); });
}

}  // namespace wow
