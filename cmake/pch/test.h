// SPDX-License-Identifier: Apache-2.0
// For tests.
#pragma once
#include "cmake/pch/std.h"
//
#include <gmock/gmock.h>
#include <gtest/gtest.h>
