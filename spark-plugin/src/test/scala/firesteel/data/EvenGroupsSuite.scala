package firesteel.data

import org.scalatest.funsuite.AnyFunSuite

final class EvenGroupsSuite extends AnyFunSuite {

  private def nowhere(count: Int): Array[Seq[String]] = Array.fill(count)(Nil)

  private def loads(rows: Array[Long], groups: EvenGroups): Seq[Long] =
    groups.groups.map(_.map(rows(_)).sum)

  test("every partition is in one group, and the groups are even") {
    val rows = Array[Long](50, 10, 40, 20, 30, 50)
    val groups = EvenGroups(rows, nowhere(6), 2, 1.1).get
    assert(groups.groups.flatten.sorted == rows.indices)
    assert(loads(rows, groups) == Seq(100, 100))
  }

  test("groups that cannot be even are not made") {
    assert(EvenGroups(Array[Long](100, 10), nowhere(2), 2, 1.1).isEmpty)
    assert(EvenGroups(Array[Long](0, 0), nowhere(2), 2, 1.1).isEmpty)
    assert(EvenGroups(Array[Long](100, 10), nowhere(2), 2, 2.0).isDefined)
  }

  test("partitions of one host come together where there is room") {
    val rows = Array.fill[Long](8)(10)
    val hosts = Array.tabulate(8)(i => Seq(if (i % 2 == 0) "a" else "b"))
    val groups = EvenGroups(rows, hosts, 2, 1.1).get
    assert(groups.groups.map(_.map(_ % 2).distinct.size) == Seq(1, 1))
    assert(groups.hosts.flatten.toSet == Set("a", "b"))
  }
}
