require ["include", "environment", "variables", "relational", "comparator-i;ascii-numeric", "spamtest"];
require ["fileinto", "imap4flags"];

# Generated: Do not run this script on spam messages
if allof (environment :matches "vnd.proton.spam-threshold" "*", spamtest :value "ge" :comparator "i;ascii-numeric" "${1}") {
    return;
}

/**
 * @type or
 * @comparator contains
 * @comparator is
 */
if anyof (header :comparator "i;ascii-casemap" :contains "Subject" ["invoice", "\"your order\""], address :all :comparator "i;ascii-casemap" :is "From" "billing@shop.test") {
    fileinto "Invoices";
    addflag "\\Seen";
    keep;
}
if allof (address :all :comparator "i;unicode-casemap" :contains "From" "news") {
    fileinto "News";
}
if header :is "X-Plus" "a" {
    fileinto "tagged/${1}";
}
