package firesteel.data

import org.apache.spark.sql.catalyst.InternalRow

/** Computes the statistics of a partition: of its labels over all rows, of its features over the first rows.
  *
  * @param plan
  *   the columns of the statistics
  * @param exact
  *   the positions of the columns that are read in all rows
  * @param sample
  *   the positions of the features
  */
private[data] final case class StatisticsTask(plan: StatisticsPlan, exact: Source, sample: Source) {

  /** Reads a partition.
    *
    * @param all
    *   the rows of the columns that are read in all rows
    * @param features
    *   the rows of the features; only the first are read
    */
  def apply(all: Iterator[InternalRow], features: Iterator[InternalRow]): RowStatistics = {
    val classes = plan.classes.map(column => new ClassCounter(column, reader(exact, column.name)))
    val labels = plan.labels.map(column => new BlockSummary(column, reader(exact, column.name)))
    val inputs = plan.features.map(column => new BlockSummary(column, reader(sample, column.name)))
    var rows = 0L
    all.foreach { row =>
      rows += 1
      classes.foreach(_.add(row))
      labels.foreach(_.add(row))
    }
    features.take(StatisticsTask.SampledRows).foreach(row => inputs.foreach(_.add(row)))
    RowStatistics(
      rows,
      classes.map(_.counts).toArray,
      (labels ++ inputs).map(_.result(rows)).toArray
    )
  }

  private def reader(source: Source, column: String): ValueReader = {
    val (ordinal, dataType) = source.columns(column)
    ValueReader(ordinal, dataType)
  }
}

private[data] object StatisticsTask {

  /** The number of rows of a partition whose features are read. */
  val SampledRows = 256
}

/** Counts the classes of a column. Values that are not classes are skipped: the fit itself rejects them. */
private final class ClassCounter(column: ClassColumn, reader: ValueReader) {
  val counts: Array[Long] = new Array(column.classes)

  def add(row: InternalRow): Unit = reader.read(row) { (_, value) =>
    if (value >= 0 && value == math.rint(value)) counts((value % column.classes).toInt) += 1
  }
}

/** Sums the values of rows in blocks, and computes the moments of the sums and of their squares. */
private final class BlockSummary(column: NumberColumn, reader: ValueReader) {
  private val blocks = column.blocks
  private val sums = new Array[Double](blocks)
  private val moments = new MomentsBuilder(2 * blocks)

  private val sum: (Int, Double) => Unit = (index, value) =>
    if (index >= 0 && index < column.size) {
      sums((index.toLong * blocks / column.size).toInt) += value
    }

  def add(row: InternalRow): Unit = {
    java.util.Arrays.fill(sums, 0)
    reader.read(row)(sum)
    var block = 0
    while (block < blocks) {
      moments.add(block, sums(block))
      moments.add(blocks + block, sums(block) * sums(block))
      block += 1
    }
  }

  def result(rows: Long): Array[Moments] = moments.result(rows)
}
