// The certificate and key of the API's HTTPS, read and checked: both are PEM, the whole chain is,
// and the key fits.
//
// Blocks on the disk. Errors name the file and what to do.
#pragma once

#include "supervisor/api/listener.h"
#include "units/result.h"
#include "units/unit_spec.h"

namespace keepwell::api {

Result<TlsIdentity> read_tls(const ApiTlsSpec&);

} // namespace keepwell::api
