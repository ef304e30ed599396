#include "units/reason.h"
