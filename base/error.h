// How an operation reports failure: a value or an Error with one sentence for a person. Remote
// bytes parse to a value or to nothing instead; our own bugs assert.
#pragma once

#include <boost/system/result.hpp>
#include <stdexcept>
#include <string>

namespace wow {

enum class ErrorCode {
  kInvalidArgument,
  kNotFound,
  kAlreadyExists,  // taken; the message names the holder
  kUnavailable,    // no answer in time; the outcome may be unknown, and a retry is safe
  kPermission,
  kIo,
  kUntrusted,  // a certificate or signature does not hold
  kExpired,
  kExhausted,  // a bound was reached
};

struct Error {
  ErrorCode code = ErrorCode::kInvalidArgument;
  std::string message;  // one clear sentence: the thing and the cure
};

[[noreturn]] inline void throw_exception_from_error(const Error& e, const boost::source_location&) {
  throw std::runtime_error(e.message);
}

template <typename T>
using Result = boost::system::result<T, Error>;

}  // namespace wow
