package firesteel.data

import org.apache.spark.Partition
import org.apache.spark.rdd.{PartitionCoalescer, PartitionGroup, RDD}

/** A coalescer with predefined groups.
  *
  * @param groups
  *   the partitions of each group; empty for one group of all partitions
  * @param hosts
  *   the preferred host of each group, if it has one
  */
private[data] final case class EvenGroups(groups: Seq[Seq[Int]], hosts: Seq[Option[String]])
    extends PartitionCoalescer
    with Serializable {

  /** The number of groups, 0 for one group of all partitions. */
  def size: Int = groups.size

  /** Returns the partitions of an RDD in these groups. */
  def group[T](rdd: RDD[T]): RDD[T] =
    rdd.coalesce(math.max(1, size), shuffle = false, Some(this))

  override def coalesce(maxPartitions: Int, parent: RDD[_]): Array[PartitionGroup] = {
    val partitions = parent.partitions
    if (groups.isEmpty) Array(partitionGroup(None, partitions.toSeq))
    else {
      groups
        .zip(hosts)
        .map { case (members, host) => partitionGroup(host, members.map(partitions(_))) }
        .toArray
    }
  }

  private def partitionGroup(host: Option[String], members: Seq[Partition]): PartitionGroup = {
    val made = new PartitionGroup(host)
    made.partitions ++= members
    made
  }
}

private[data] object EvenGroups {

  /** All partitions in one group. */
  val single: EvenGroups = EvenGroups(Nil, Nil)

  /** Groups partitions by their numbers of rows, the largest first, each into the group with the fewest rows. Among the
    * groups with room, one on the partition's host is preferred.
    *
    * @param rows
    *   the number of rows of each partition
    * @param locations
    *   the hosts of each partition
    * @param count
    *   the number of groups
    * @param evenness
    *   the maximum ratio of the largest group to the mean
    * @return
    *   the groups, unless they exceed that ratio
    */
  def apply(
      rows: Array[Long],
      locations: Array[Seq[String]],
      count: Int,
      evenness: Double
  ): Option[EvenGroups] = {
    val mean = rows.sum.toDouble / count
    val loads = new Array[Long](count)
    val hosts = Array.fill[Option[String]](count)(None)
    val members = Array.fill(count)(Vector.empty[Int])
    for (partition <- rows.indices.sortBy(index => -rows(index))) {
      val here = (0 until count).filter { group =>
        loads(group) + rows(partition) <= mean && hosts(group).exists(locations(partition).contains)
      }
      val group = (if (here.nonEmpty) here else 0 until count).minBy(loads(_))
      if (members(group).isEmpty) hosts(group) = locations(partition).headOption
      loads(group) += rows(partition)
      members(group) :+= partition
    }
    if (mean > 0 && loads.max <= mean * evenness) {
      Some(EvenGroups(members.toSeq.map(_.sorted), hosts.toSeq))
    } else None
  }
}
