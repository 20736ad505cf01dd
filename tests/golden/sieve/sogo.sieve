require ["fileinto", "imap4flags", "reject", "body"];
if anyof (header :contains "subject" "report", address :contains ["to", "cc"] "team@example.test") {
    addflag "\\Seen";
    fileinto "Reports";
    stop;
}
if allof (not header :is "x-mailer" "robot", size :over 500K) {
    discard;
}
if allof (body :text :contains "lottery") {
    reject "No";
}
redirect "bob@example.test";
keep;
