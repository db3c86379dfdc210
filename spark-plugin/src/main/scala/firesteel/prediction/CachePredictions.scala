package firesteel.prediction

import firesteel.data.CachedLists
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.{
  BoundReference,
  GenericInternalRow,
  JoinedRow,
  UnsafeArrayData,
  UnsafeProjection
}
import org.apache.spark.sql.types.BinaryType
import org.apache.spark.sql.vectorized.ColumnarBatch

/** Predicts the batches of Spark's default cache and returns rows. Arrays that pass through are copied once, from the
  * cache to the row, bytes twice.
  */
private[prediction] final class CachePredictions(
    task: PredictionTask,
    batches: NativeBatches,
    cached: Iterator[ColumnarBatch]
) extends Iterator[InternalRow] {

  // The places of the columns that pass through.
  private val places =
    task.passed.map(column => task.input.indexWhere(_.exprId == column.exprId))
  private val lists = new ListsRow(task.input.size, places)
  private val computed = new ComputedRow(task.outputs)
  private val withLists = new JoinedRow
  private val withComputed = new JoinedRow
  private var project: UnsafeProjection = _

  private var batch: ColumnarBatch = _
  // The next row of the cached batch to be predicted, and their number.
  private var from = 0
  private var end = 0
  // The first row of the cached batch that is predicted; the next row to be returned and their number, from there on.
  private var first = 0
  private var at = 0
  private var predicted = 0

  override def hasNext: Boolean = at < predicted || fill()

  override def next(): InternalRow = {
    if (!hasNext) throw new NoSuchElementException("the partition has no further row")
    computed.move(at)
    val row =
      if (task.passed.isEmpty) project(computed.row)
      else {
        lists.move(first + at)
        project(withComputed(withLists(batch.getRow(first + at), lists.row), computed.row))
      }
    at += 1
    row
  }

  /** Predicts further rows of the cached batch, or of the next one. */
  private def fill(): Boolean = {
    at = 0
    predicted = 0
    if (advance()) {
      batches.begin()
      first = from
      while (!batches.filler.full && from < end) from += batches.filler.add(batch, from, end)
      val outputs = batches.predict()
      computed.show(outputs)
      predicted = outputs.rows
    } else batches.close()
    predicted > 0
  }

  private def advance(): Boolean = {
    while (from == end && cached.hasNext) {
      batch = cached.next()
      from = 0
      end = batch.numRows
      lists.show(batch)
      if (project == null) project = projection(batch)
    }
    from < end
  }

  /** The columns that pass through and the outputs, of rows that join a batch's columns, its lists and the outputs. */
  private def projection(batch: ColumnarBatch): UnsafeProjection = {
    val columns = task.input.size
    val passed = task.passed.zip(places).map { case (column, place) =>
      val isList = batch.column(place).isInstanceOf[CachedLists]
      BoundReference(if (isList) columns + place else place, column.dataType, column.nullable)
    }
    val before = if (passed.isEmpty) 0 else 2 * columns
    val outputs = task.outputs.zipWithIndex.map { case (kind, index) =>
      BoundReference(before + index, kind.dataType, nullable = false)
    }
    UnsafeProjection.create(passed ++ outputs)
  }
}

/** The arrays and bytes of a row of a cached batch.
  *
  * @param columns
  *   the number of columns of the batch, and of this row
  * @param places
  *   the columns that are read
  */
private final class ListsRow(columns: Int, places: Seq[Int]) {

  /** The current row; changed by the next move. */
  val row = new GenericInternalRow(columns)

  private val arrays = Array.fill(columns)(new UnsafeArrayData)
  private var lists = Array.empty[(Int, CachedLists)]

  /** Sets the batch. */
  def show(batch: ColumnarBatch): Unit =
    lists = places
      .map(place => place -> batch.column(place))
      .collect { case (place, column: CachedLists) => place -> column }
      .toArray

  /** Moves to a row of the batch. */
  def move(to: Int): Unit = {
    var i = 0
    while (i < lists.length) {
      val (place, column) = lists(i)
      if (column.isNullAt(to)) row.setNullAt(place)
      else if (column.dataType == BinaryType) row.update(place, column.getBinary(to))
      else row.update(place, column.point(arrays(place), to))
      i += 1
    }
  }
}
