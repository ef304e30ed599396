#include "units/types.h"
