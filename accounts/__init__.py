"""What people do with accounts and workspaces: sign up, found, invite, change roles, choose a plan, delete.

Public face: `workspaces`, `subscriptions`, `members` and `invitations`. allauth calls `adapter`, `forms` and
`passwords`.
"""
