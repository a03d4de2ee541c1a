package transport

// What a client is told of its tenant, word for word as the API has it.
const (
	noTenant      = "Invalid tenant specified : no tenant specified in multi-tenant environment. Verify configuration and 'ContactCenterId' HTTP header."
	unknownTenant = "Invalid tenant specified : specified tenant in HTTP header 'ContactCenterId'='%s' not configured. Verify configuration."

	// MaxTenantBytes is how long a tenant's name may be.
	MaxTenantBytes = 255
)

// chooseTenant makes the call one of the tenant that its header names, if u may act for it.
// Where no tenants are configured the header is not looked at.
func (c *call) chooseTenant(u *user) error {
	if len(c.tenants) == 0 {
		return nil
	}
	name := c.ctx.Request.Header.Peek("ContactCenterId")
	if len(name) == 0 {
		return refusal(errTenant, noTenant)
	}
	tenant, configured := c.tenants[string(name)]
	if !configured {
		return refusal(errTenant, unknownTenant, cutAt(name, MaxTenantBytes))
	}
	if !u.mayActFor(name) {
		return refusal(errForbidden, "the user may not act for the tenant %s", name)
	}
	c.backend = tenant
	return nil
}
