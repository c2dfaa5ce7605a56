"""Maildirs of one account.

tree       all folders in and below one
folder     one folder             messages   what is in it
beside     what servers write beside the messages: keywords, UIDs, subscriptions
writing    one that Dovecot, Courier and mail programs read as it is
"""
