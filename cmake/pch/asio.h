// SPDX-License-Identifier: Apache-2.0
// For folders that hold coroutines and sockets.
#pragma once
#include "cmake/pch/std.h"
//
#include <boost/asio.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
