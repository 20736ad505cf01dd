require ["body","copy","ereject","fileinto","imap4flags","regex","vacation"];
# rule:[Invoices]
if anyof (header :contains "subject" ["invoice","Rechnung"], address :is "from" "billing@shop.test")
{
	fileinto "Archive/Invoices";
	addflag "\\Seen";
	stop;
}
# rule:[A list, off for now]
if false # allof (header :contains "list-id" "talk.lists.test", size :over 1M)
{
	fileinto "Lists/talk";
}
# rule:[Mail to my other name]
if allof (address :localpart :is ["to","cc"] "sales", not exists "x-spam-flag", body :text :contains "offer")
{
	redirect :copy "bob@example.test";
	addflag ["\\Flagged","work"];
}
# rule:[Numbers]
if header :regex "subject" "^[0-9]+$"
{
	discard;
}
# rule:[Away]
if true
{
	vacation :days 3 :addresses ["alice@example.test"] :subject "Away" "I am away";
}
# rule:[Everything]
if true
{
	keep;
}
# rule:[No, thanks]
if header :matches "from" "*@pest.test>"
{
	ereject "No, thanks";
}
